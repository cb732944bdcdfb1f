"""The drawn world as COCO Caption, Flickr30K and TextCaps."""

from typing import Any

from lion.data.writers.facts import CAPTIONS, Album, coco_name
from lion.world.vocabulary import words


def coco_caption(album: Album) -> None:
    """`dataset_coco.json` as Karpathy has it; pictures in train2014 or val2014."""
    part = "train2014" if album.split == "train" else "val2014"
    rows = []
    for place, (number, now, captions) in enumerate(album.captions()):
        name = coco_name(part, number)
        album.draw(now, name)
        row = _karpathy(album.first + place, name.rsplit("/", 1)[1], album.split, captions)
        rows.append({"filepath": part, **row, "cocoid": number})
    album.json("dataset_coco.json", {"images": rows, "dataset": "coco"})


def flickr30k(album: Album) -> None:
    """`dataset_flickr30k.json` as Karpathy has it; pictures in flickr30k-images."""
    rows = []
    for place, (number, now, captions) in enumerate(album.captions()):
        name = f"{number:010d}.jpg"
        album.draw(now, f"flickr30k-images/{name}")
        rows.append(_karpathy(album.first + place, name, album.split, captions))
    album.json("dataset_flickr30k.json", {"images": rows, "dataset": "flickr30k"})


def textcaps(album: Album) -> None:
    """`TextCaps_0.1_<split>.json`, a row for each caption; pictures in train_images, as those of val are."""
    rows: list[dict[str, Any]] = []
    for number, now, captions in album.captions():
        ident = f"{number:016x}"
        album.draw(now, f"train_images/{ident}.jpg")
        tokens = [["<s>", *_tokens(caption), "</s>"] for caption in captions]
        for place, caption in enumerate(captions):
            row = {
                "caption_str": caption,
                "caption_id": number * CAPTIONS + place,
                "caption_tokens": tokens[place],
                "image_id": ident,
                "image_classes": sorted({obj.category for obj in now.objects}),
                "flickr_original_url": "",
                "flickr_300k_url": "",
                "image_width": album.pixels,
                "image_height": album.pixels,
                "set_name": album.split,
                "image_name": ident,
                "image_path": f"train/{ident}.jpg",
                "reference_strs": captions,
                "reference_tokens": tokens,
            }
            rows.append(row)
    head = {"dataset_type": album.split, "dataset_name": "textcaps", "dataset_version": "0.1"}
    album.json(f"TextCaps_0.1_{album.split}.json", {**head, "data": rows})


def _tokens(caption: str) -> list[str]:
    return [word for word in words(caption.lower()) if word.isalnum()]


def _karpathy(place: int, file: str, split: str, captions: list[str]) -> dict[str, Any]:
    numbers = range(place * CAPTIONS, (place + 1) * CAPTIONS)
    return {
        "sentids": list(numbers),
        "filename": file,
        "imgid": place,
        "split": split,
        "sentences": [
            {"tokens": _tokens(caption), "raw": caption, "imgid": place, "sentid": number}
            for number, caption in zip(numbers, captions, strict=True)
        ],
    }
