"""Model repositories of the Hugging Face Hub: the form of their ids, downloads, and the errors of damaged files."""

import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError

from lion.errors import LionError, first_line

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""``owner/name``."""

LOAD_ERRORS = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, SafetensorError)
"""What json, transformers, tokenizers and safetensors raise for the files of a damaged checkpoint."""


def fetch(name: str, patterns: Sequence[str], kind: str = "model") -> Path:
    """Download the files of a repository, of models or datasets, that match a pattern, unless cached; its folder.

    Raises: LionError if the Hub has no such repository or is out of reach.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, repo_type=kind, allow_patterns=list(patterns)))
    except LocalEntryNotFoundError as error:
        raise LionError(
            f"no folder '{name}' here, and no Hub {kind} of that name in the cache or within reach; "
            "check the path, or the network (and that HF_HUB_OFFLINE is not set)"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise LionError(f"no folder '{name}' here, and the Hub has no such {kind} ({first_line(error)})") from error
    except Exception as error:  # the client raises its transport's own errors, too
        raise LionError(
            f"'{name}' cannot be fetched ({first_line(error)}); "
            "check the network, its proxy (HTTPS_PROXY) and free disk"
        ) from error
