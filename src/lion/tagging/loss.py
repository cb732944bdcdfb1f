"""The asymmetric loss that RAM's tagging is trained with. B batch, N tags."""

import torch
from torch import Tensor
from torch.nn import functional


def asymmetric_loss(
    logits_BN: Tensor,
    targets_BN: Tensor,
    *,
    gamma_positive: float = 0.0,
    gamma_negative: float = 7.0,
    margin: float = 0.05,
) -> Tensor:
    """Sum over tags, mean over pictures, of ``-(1 - p)^g+ log p`` where present and ``-q^g- log(1 - q)`` where absent.

    p is the tag's probability and ``q = max(p - margin, 0)``: absent tags that are already unlikely cost nothing, and
    easy ones next to nothing, so that the few present tags of a picture are not drowned by the thousands absent. As
    released, no gradient flows through the two focusing weights. Without focusing and margin this is cross-entropy.

    Args:
        logits_BN: (B, N).
        targets_BN: (B, N), 1 for present and 0 for absent (bool or any number type).

    Source: "Asymmetric Loss For Multi-Label Classification" (arXiv 2009.14119), equations 4 to 7; RAM's values.
    """
    present_BN = targets_BN.to(logits_BN.dtype)
    probability_BN = logits_BN.sigmoid()
    shifted_BN = (probability_BN - margin).clamp(min=0)
    log_present_BN = functional.logsigmoid(logits_BN)
    # With a margin 1 - q cannot reach 0; without one only the log-sigmoid is exact where the probability rounds to 1.
    log_absent_BN = torch.log1p(-shifted_BN) if margin else functional.logsigmoid(-logits_BN)
    with torch.no_grad():
        weight_present_BN = (1 - probability_BN) ** gamma_positive
        weight_absent_BN = shifted_BN**gamma_negative
    terms_BN = present_BN * weight_present_BN * log_present_BN + (1 - present_BN) * weight_absent_BN * log_absent_BN
    return -terms_BN.sum(dim=1).mean()
