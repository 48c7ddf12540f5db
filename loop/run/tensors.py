"""How many parameters the files of a model hold, by what they say of their tensors. Nothing that they name is imported.

    python -I -S -c SOURCE '{"name": "/its/path", ...}'

    safetensors, GGUF, .npy, .npz      by their headers
    what torch.save leaves             by its pickle, read by an unpickler that makes nothing but the tensors' sizes

The code under test has written these files. They are read by the study's interpreter, in a process of its own behind
the wall, with so much memory and time, and the standard library alone: so this runs with any Python from 3.8 on. What
does not fit together is no count. A tensor counts once by the storage that it shares, a buffer as a parameter does.
"""

from __future__ import annotations

import ast
import io
import json
import math
import os
import pickle
import resource
import struct
import sys
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY_BYTES = 4 * 2**30
SECONDS = 60
HEADER_BYTES = 100 * 2**20  # as safetensors itself has it
PICKLE_BYTES = 256 * 2**20
NAME_BYTES = 2**16
MOST_ITEMS = 2**24  # of a list in a header
BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64), **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16), **dict.fromkeys(("BOOL", "I8", "U8"), 8),
}  # fmt: skip
ITEM_BYTES = {
    "DoubleStorage": 8, "LongStorage": 8, "ComplexFloatStorage": 8, "FloatStorage": 4, "IntStorage": 4,
    "HalfStorage": 2, "BFloat16Storage": 2, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
    "UntypedStorage": 1,
}  # fmt: skip
FIRST = (".safetensors", ".gguf")  # which stand beside what else a trainer leaves
KNOWN = (".bin", ".pt", ".pth", ".ckpt", ".npz", ".npy")
NO_MODEL = ("optim", "sched", "scaler", "rng", "training_args")  # in the names of what is kept to go on with training
MODEL = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")  # in a checkpoint


class Unreadable(Exception):
    """A file does not say how many parameters it holds. The message says what of it, after its name."""


def main() -> None:
    """Answer, in JSON on one line: `parameters` and `of`, which of what there was, or `lack`."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    sys.stdout.write(json.dumps(answer(json.loads(sys.argv[1]))) + "\n")


def answer(files: dict[str, str]) -> dict[str, Any]:
    """What is known of these files together, each a path under the name by which it is spoken of."""
    total = 0
    chosen: list[str] = []
    for name in of_the_model(sorted(files)):
        try:
            with open(os.open(files[name], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                count, entry = parameters(file)
        except Unreadable as why:
            return {"lack": f"{name} {why}"}
        except MemoryError:
            return {"lack": f"{name} takes more than {MEMORY_BYTES // 2**30} GiB to read"}
        except OSError as error:
            return {"lack": f"{name} cannot be read: {error.strerror}"}
        except Exception as error:  # whatever a parser makes of what was made to mislead it
            return {"lack": f"{name} cannot be read: {type(error).__name__}: {str(error)[:200]}"}
        total += count
        chosen += [f"`{entry}` of {name}"] if entry else []
    return {"parameters": total, "of": ", ".join(chosen)} if total else {"lack": "no tensor stands in what train left"}


def of_the_model(names: list[str]) -> list[str]:
    """Of the files of a folder those of the model: other ones go on with its training, or say what it is."""
    known = [name for name in names if name.endswith(KNOWN) and not _goes_on(os.path.basename(name))]
    return [name for name in names if name.endswith(FIRST)] or known or names


def _goes_on(name: str) -> bool:
    return any(part in name.lower() for part in NO_MODEL)


def parameters(file: BinaryIO) -> tuple[int, str]:
    """How many a file holds, and those of which of its entries, where it has others. Raises Unreadable, and more."""
    size = os.fstat(file.fileno()).st_size
    begins = file.read(8)
    file.seek(0)
    if begins.startswith(b"PK\x03\x04"):
        return in_zip(file)
    if begins.startswith(b"GGUF"):
        return in_gguf(file, size), ""
    if begins.startswith(b"\x93NUMPY"):
        return in_npy(file, size), ""
    if begins.startswith(b"\x80") and size > 16:
        raise Unreadable("is a pickle, and no file of torch.save since 1.6; save the model as safetensors")
    if len(begins) == 8 and 2 <= struct.unpack("<Q", begins)[0] <= size - 8:
        return in_safetensors(file, size), ""
    raise Unreadable("is no safetensors, no GGUF, no .npz and nothing that torch.save leaves; name what is one")


# --- by a header -----------------------------------------------------------------------------------------------------


def in_safetensors(file: BinaryIO, size: int) -> int:
    """Its tensors must lie one after the other from the header to the end, as its own library wants them."""
    (length,) = struct.unpack("<Q", _read(file, 8))
    if length > HEADER_BYTES:
        raise Unreadable(f"has a header of more than {HEADER_BYTES // 2**20} MiB")
    header = json.loads(_read(file, length))
    parts, total = [], 0
    for name, one in header.items():
        if name != "__metadata__":
            begin, end = one["data_offsets"]
            count = _count(one["shape"])
            bits = BITS.get(one["dtype"])
            if type(begin) is not int or type(end) is not int or (bits and count * bits != (end - begin) * 8):
                raise Unreadable(f"says of {name[:60]!r} what does not fit: {count} of {str(one['dtype'])[:20]}")
            parts.append((begin, end))
            total += count
    at = 0
    for begin, end in sorted(parts):
        if begin != at or end < begin:
            raise Unreadable("has tensors that overlap, or something between them")
        at = end
    if at != size - 8 - length:
        raise Unreadable("has more in it, or less, than its header says")
    return total


def in_gguf(file: BinaryIO, size: int) -> int:
    """The elements of all tensors, whatever they are quantised to."""
    _read(file, 4)
    (version,) = struct.unpack("<I", _read(file, 4))
    if version not in (2, 3):
        raise Unreadable(f"is GGUF of version {version}, which is not known here")
    tensors, pairs = struct.unpack("<QQ", _read(file, 16))
    if tensors > MOST_ITEMS or pairs > MOST_ITEMS:
        raise Unreadable("says that it has more tensors than there can be")
    for _ in range(pairs):
        _text(file)
        _skip(file, struct.unpack("<I", _read(file, 4))[0])
    total = 0
    for _ in range(tensors):
        _text(file)
        (dimensions,) = struct.unpack("<I", _read(file, 4))
        if dimensions > 8:
            raise Unreadable("says that it has a tensor of more than 8 dimensions")
        total += _count(list(struct.unpack(f"<{dimensions}Q", _read(file, 8 * dimensions))))
        _read(file, 12)
    if total > 8 * size:  # no quantisation has less than a bit for each
        raise Unreadable("says that it has more than it could hold")
    return total


def _text(file: BinaryIO) -> None:
    (length,) = struct.unpack("<Q", _read(file, 8))
    _read(file, length)


def _skip(file: BinaryIO, kind: int, deep: int = 0) -> None:
    """A value of the metadata."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    if kind == 8:
        _text(file)
    elif kind == 9 and deep < 4:
        inner, count = struct.unpack("<IQ", _read(file, 12))
        if inner in sizes:
            _read(file, sizes[inner] * count)
        else:
            for _ in range(count):
                _skip(file, inner, deep + 1)
    elif kind in sizes:
        _read(file, sizes[kind])
    else:
        raise Unreadable(f"has metadata of kind {kind}, which is not known here")


def in_npy(file: BinaryIO, size: int) -> int:
    """The elements of one array."""
    begins = _read(file, 8)
    (length,) = struct.unpack("<H", _read(file, 2)) if begins[6] == 1 else struct.unpack("<I", _read(file, 4))
    if length > NAME_BYTES:
        raise Unreadable("has a header that is too long")
    header = ast.literal_eval(_read(file, length).decode("latin-1"))
    if "O" in str(header["descr"]):
        raise Unreadable("holds objects of Python, which nobody opens")
    count = _count(list(header["shape"]))
    if count > size:
        raise Unreadable("says that it has more than it could hold")
    return count


def _read(file: BinaryIO, count: int) -> bytes:
    if count > HEADER_BYTES or len(found := file.read(count)) != count:
        raise Unreadable("ends before its header does")
    return found


def _count(shape: list[Any]) -> int:
    if len(shape) > 64 or not all(type(one) is int and 0 <= one < 2**48 for one in shape):
        raise Unreadable("has a tensor whose shape is none")
    return math.prod(shape)


# --- by a pickle -----------------------------------------------------------------------------------------------------


class Storage:
    """Where tensors lie: how many elements it has, as the pickle says."""

    def __init__(self, key: str, kind: str, elements: int) -> None:
        self.key, self.kind, self.elements = key, kind, elements


class Tensor:
    """A view of a storage."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage, self.view, self.count = storage, (offset, shape, stride), _count(list(shape))


class Other:
    """Whatever else a pickle makes: it does nothing, and keeps what it is made of."""

    def __init__(self, *parts: Any, **named: Any) -> None:
        self.parts = [*parts, *named.values()]

    def __new__(cls, *_: Any, **__: Any) -> Other:
        """A pickle may make it without more."""
        made = super().__new__(cls)
        made.parts = []
        return made

    def __setstate__(self, state: Any) -> None:
        self.parts.append(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.parts.append(value)

    def __call__(self, *parts: Any) -> Other:
        """A pickle may call what another call has made."""
        return Other(*parts)

    def append(self, part: Any) -> None:
        """Of a list."""
        self.parts.append(part)

    add = append

    def extend(self, parts: Any) -> None:
        """Of a list."""
        self.parts.extend(parts)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> Any:
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise Unreadable("has a tensor without a storage")
    return Tensor(storage, offset, tuple(shape.parts[0] if isinstance(shape, Other) else shape), tuple(stride))


def _its_tensor(tensor: Any, *_: Any) -> Any:
    return tensor


def _from_type(make: Any, _: Any, parts: Any, *more: Any) -> Any:
    return make(*parts) if make in MADE.values() else Other(make, parts, *more)


def _in_bytes(*_: Any) -> Any:
    raise Unreadable("has tensors that are pickled once more; save the model's state_dict alone")


MADE = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor,
    ("torch._utils", "_rebuild_qtensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _its_tensor,
    ("torch._utils", "_rebuild_parameter_with_state"): _its_tensor,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch.storage", "_load_from_bytes"): _in_bytes,
}


class Reader(pickle.Unpickler):
    """An unpickler that imports nothing, and calls nothing but what is in this file."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for it here."""
        return MADE.get((module, name)) or type(name if name.isidentifier() else "other", (Other,), {})

    def persistent_load(self, said: Any) -> Any:
        """A storage, of which the pickle says what it is."""
        what, kind, key, _, elements = said
        if what != "storage" or type(elements) is not int or type(key) is not str:
            raise Unreadable("keeps something outside of its pickle that is no storage")
        return Storage(key, kind.__name__, elements)


def in_zip(file: BinaryIO) -> tuple[int, str]:
    """Of what torch.save leaves the model's tensors; or of an .npz all arrays."""
    with zipfile.ZipFile(file) as archive:
        sizes = {one.filename: one for one in archive.infolist()}
        pickles = [name for name in sizes if name.endswith("/data.pkl") and name.count("/") == 1]
        if not pickles and sizes and all(name.endswith(".npy") for name in sizes):
            return sum(_member(archive, one) for one in sizes.values()), ""
        if len(pickles) != 1:
            raise Unreadable("is an archive, and none of torch.save or numpy.savez")
        if sizes[pickles[0]].file_size > PICKLE_BYTES:
            raise Unreadable(f"has a pickle of more than {PICKLE_BYTES // 2**20} MiB")
        with archive.open(pickles[0]) as inside:
            made = Reader(io.BytesIO(inside.read(PICKLE_BYTES))).load()
    root = pickles[0].partition("/")[0]
    there = {name[len(root) + 6 :]: one.file_size for name, one in sizes.items() if name.startswith(f"{root}/data/")}
    return of_model(made, there)


def _member(archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> int:
    with archive.open(one) as inside:
        return in_npy(inside, one.file_size)  # type: ignore[arg-type]


def of_model(made: Any, there: dict[str, int]) -> tuple[int, str]:
    """The model's tensors of what was saved, and what they are called where others stand beside them."""
    if not isinstance(made, dict):
        return count(made, there), ""
    direct = [value for value in made.values() if isinstance(value, Tensor)]
    counts = {
        name: found
        for name, value in made.items()
        if isinstance(name, str) and not isinstance(value, Tensor) and (found := count(value, there))
    }
    named = next((name for name in MODEL if name in counts), None)
    if named is None and direct:
        return count(made, there), ""
    others = [name for name in counts if not _goes_on(name)]
    if named is None and len(others) == 1:
        named = others[0]
    if named is None and len(counts) == 1:
        named = next(iter(counts))
    if named is None and counts:
        listed = ", ".join(f"`{name[:60]}`" for name in others or counts)
        raise Unreadable(f"has tensors in {listed}: call the model's `model`, or save it alone")
    return (counts[named], named if len(counts) > 1 else "") if named else (0, "")


def count(made: Any, there: dict[str, int]) -> int:
    """The elements of all tensors in it: of a storage no more than it has, however many look at it."""
    seen: dict[str, tuple[Storage, dict[Any, int]]] = {}
    for tensor in _tensors(made):
        storage = tensor.storage
        seen.setdefault(storage.key, (storage, {}))[1][tensor.view] = tensor.count
    for key, (storage, _) in seen.items():
        each = ITEM_BYTES.get(storage.kind)
        if key not in there or (each and storage.elements * each != there[key]):
            raise Unreadable(
                f"says of storage {key[:20]!r} what does not fit: {storage.elements} of {storage.kind[:40]}"
            )
    return sum(min(storage.elements, sum(views.values())) for storage, views in seen.values())


def _tensors(made: Any) -> Iterator[Tensor]:
    ahead: list[Any] = [made]
    seen: dict[int, Any] = {}  # which keeps them, so that no other one has the same id
    while ahead:
        one = ahead.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, dict):
            ahead += one.values()
            ahead += getattr(one, "__dict__", {}).values()
        elif isinstance(one, (list, tuple, set, frozenset)):
            ahead += one
        elif isinstance(one, Other):
            ahead += one.parts


if __name__ == "__main__":
    main()
