"""The frozen ViT's features on disk, so that a picture is encoded once however often it is drawn (`tap_cache`).

An entry's name is the hash of the pixels as the ViT gets them: a picture that is flipped or cropped is another one. A
folder beside the entries is named after the hash of the ViT's weights and taps, so that no other ViT's are read. When
it pays: docs/how-to/tap_cache.md. B batch, K taps, P patches + CLS, V vision width.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from lion.atomic import atomic_write
from lion.errors import LionError
from lion.hub import LOAD_ERRORS
from lion.model.vision_encoder import VisionEncoder

Compute = Callable[[Tensor], tuple[Tensor, ...]]


class TapCache:
    """Called by a :class:`VisionEncoder` in place of computing.

    Args:
        folder: of all caches.
        encoder: whose weights no longer change.
        most: bytes from which on no entry is added; other processes' are not seen before the next run.
        dtype: of the entries; what is computed anew is rounded to it, too, so that it does not matter which was found.
    """

    def __init__(self, folder: Path, encoder: VisionEncoder, most: int, dtype: torch.dtype) -> None:
        self.folder, self.most, self.dtype = (
            folder / f"{_fingerprint(encoder)}-{dtype}".replace("torch.", ""),
            most,
            dtype,
        )
        self.bytes = sum(file.stat().st_size for file in self.folder.glob("*/*.safetensors"))

    @torch.no_grad()
    def __call__(self, compute: Compute, pixels_B3SS: Tensor) -> tuple[Tensor, ...]:
        """One (B, P, V) map per tap. Raises: LionError if an entry is damaged."""
        files = [self._file(row) for row in pixels_B3SS.detach().cpu()]
        missing = [row for row, file in enumerate(files) if not file.is_file()]
        made = dict(zip(missing, self._made(compute, pixels_B3SS[missing]), strict=True)) if missing else {}
        for row in missing:
            self._add(files[row], made[row])
        found = [made[row] if row in made else _read(file) for row, file in enumerate(files)]
        taps_BKPV = torch.stack([taps_KPV.to(pixels_B3SS.device) for taps_KPV in found])
        return taps_BKPV.float().unbind(1)

    def _file(self, pixels_3SS: Tensor) -> Path:
        name = hashlib.blake2b(pixels_3SS.contiguous().view(torch.uint8).numpy().data, digest_size=20).hexdigest()
        return self.folder / name[:2] / f"{name}.safetensors"

    def _made(self, compute: Compute, pixels_B3SS: Tensor) -> Sequence[Tensor]:
        return torch.stack(compute(pixels_B3SS), dim=1).to(self.dtype).unbind(0)

    def _add(self, file: Path, taps_KPV: Tensor) -> None:
        if self.bytes + taps_KPV.nbytes <= self.most:
            atomic_write(file, save({"taps": taps_KPV.cpu().contiguous()}))
            self.bytes += taps_KPV.nbytes


def _read(file: Path) -> Tensor:
    try:
        return load_file(file)["taps"]
    except LOAD_ERRORS as error:
        raise LionError(f"{file} is damaged; delete it, and it is made again") from error


def _fingerprint(encoder: VisionEncoder) -> str:
    """Hash of all that shapes the taps."""
    found = hashlib.blake2b(str(encoder.taps).encode(), digest_size=8)
    for name, tensor in encoder.state_dict().items():
        if isinstance(tensor, Tensor):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
