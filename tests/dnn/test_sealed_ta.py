"""The TA for sealed packages on the host: right answers, and what it must refuse.

The stand-in for the TEE seals shared memory off but for a STEP's inputs and outputs, ends the
process at a misuse that would panic a TA, and wants memory wiped before it is freed.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sealed_ta as sealed
from cryptography.hazmat.primitives.asymmetric import ec
from sealed_ta import Device

from tessera.dnn import digits, reference
from tessera.package.file import to_bytes
from tessera.package.wrap import point_of, wrap
from tessera.plan import execute

HOSTILE = {"FAKE_TEE_HOSTILE": "1"}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client and the TA as committed."""
    return sealed.build(tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def device(program: Path, tmp_path: Path) -> Device:
    """A new device with the owner's key."""
    return sealed.provisioned(program, tmp_path)


def wanted(images: int) -> np.ndarray:
    return reference.run(digits.model(), digits.held_out()[0][:images])


def figures(text: str) -> dict[str, int]:
    return {line.split()[0]: int(line.split()[1]) for line in text.splitlines()}


# --- Answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", [{}, HOSTILE], ids=["calm", "hostile"])
@pytest.mark.parametrize("window", ["4112", "30000", "262144"])
def test_logits_are_those_of_the_reference(
    device: Device, env: dict[str, str], window: str
) -> None:
    done, got = device.run(sealed.package(), "--window", window, images=5, **env)
    assert done.returncode == 0, done.stderr
    assert got is not None
    assert (got.argmax(axis=1) == wanted(5).argmax(axis=1)).all()
    assert np.abs(got - wanted(5)).max() <= 1e-4


def test_integers_are_those_of_the_reference_to_the_bit(device: Device) -> None:
    graph = sealed.graph(int8=True)
    done, got = device.run(sealed.package(int8=True, budget=32 * 1024), images=5)
    assert done.returncode == 0, done.stderr
    assert got is not None
    tensor = graph.tensors[graph.inputs[0]]
    for image, found in zip(digits.held_out()[0][:5], got, strict=True):
        given = image.reshape(tensor.shape).astype("<f4")
        made = execute.run(graph, {graph.inputs[0]: given})[graph.outputs[0]]
        assert made.reshape(-1).tobytes() == found.tobytes()


@pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("env", [{}, {"FAKE_TEE_RACE": "1"}], ids=["calm", "racing"])
def test_inputs_of_any_bits(device: Device, int8: bool, env: dict[str, str]) -> None:
    """Also ones that change all the while: an answer, of whatever, and nothing else."""
    noise = np.random.default_rng(3).bytes(256 * 6)
    special = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 0, -0.0] * 8, "<f4").tobytes()
    budget = 32 * 1024 if int8 else sealed.BUDGET
    package = sealed.package(int8=int8, budget=budget)
    done, got = device.run(package, images=7, given=noise + special, **env)
    assert done.returncode == 0, done.stderr
    assert got is not None


def test_figures_are_those_of_the_package(device: Device) -> None:
    package = sealed.package()
    done, _ = device.run(package, images=3)
    told = figures(done.stdout)
    plain = [len(block) - 16 for block in package.blocks]
    feed = (0, *package.once, *package.each * 3)
    assert told["blocks"] == len(feed)
    assert told["bytes"] == sum(plain[index] for index in feed)
    assert told["chunk_bytes"] == package.chunk
    held = told["arena_bytes"] + 2 * package.chunk + plain[0]
    assert held < told["heap_bytes"] == told["heap_peak"] < held + 2048


def test_a_large_window_takes_fewer_steps(device: Device) -> None:
    steps = [
        figures(device.run(sealed.package(), "--window", window)[0].stdout)["steps"]
        for window in ("4112", "65536")
    ]
    assert steps[0] > 2 * steps[1] > 4


def test_a_window_that_holds_no_block(device: Device) -> None:
    done, got = device.run(sealed.package(), "--window", "4111")
    assert (done.returncode, got) == (2, None)
    assert "a window of 4111 bytes holds no block of 4112" in done.stderr


# --- Keys ----------------------------------------------------------------------------------------


def test_the_identity_stays(program: Path, tmp_path: Path) -> None:
    device = Device(program, tmp_path)
    first = device.point()
    assert len(first) == 65
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), first)
    assert device.point() == first
    other = tmp_path / "other"
    other.mkdir()
    assert Device(program, other).point() != first


def test_leading_zeros_of_a_point_are_kept(program: Path, tmp_path: Path) -> None:
    """A device whose x begins with a zero byte: found by trying private keys in order."""
    device = Device(program, tmp_path)
    device.point()
    stored = next(path for path in tmp_path.iterdir() if path.name == b"device\0".hex())
    content = bytearray(stored.read_bytes())
    for number in range(1, 5000):
        key = ec.derive_private_key(number, ec.SECP256R1())
        point = point_of(key)
        if point[1] == 0:
            break
    assert point[1] == 0
    secret = content.index(device_secret(content))
    content[secret : secret + 96] = number.to_bytes(32, "big") + point[1:]
    stored.write_bytes(content)
    assert device.point() == point
    assert device.install(wrap(sealed.MASTER, point)).returncode == 0
    assert device.run(sealed.package())[0].returncode == 0


def device_secret(content: bytes) -> bytes:
    """The private number in a stored object of the stand-in: behind type, flags and booleans."""
    return bytes(content[12:44])


def test_shared_secrets_with_leading_zeros(device: Device) -> None:
    """An ephemeral key for which the shared secret begins with a zero byte."""
    point = device.point()
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    keys = (ec.derive_private_key(number, ec.SECP256R1()) for number in range(1, 5000))
    ephemeral = next(key for key in keys if key.exchange(ec.ECDH(), public)[0] == 0)
    assert device.install(wrap(sealed.MASTER, point, ephemeral=ephemeral)).returncode == 0
    assert device.run(sealed.package())[0].returncode == 0


def test_no_key_is_installed(program: Path, tmp_path: Path) -> None:
    done, got = Device(program, tmp_path).run(sealed.package())
    assert (done.returncode, got) == (1, None)
    assert "0xffff0008" in done.stderr


def test_another_owner_s_key(program: Path, tmp_path: Path) -> None:
    device = sealed.provisioned(program, tmp_path, bytes(32))
    done, got = device.run(sealed.package())
    assert (done.returncode, got) == (1, None)
    assert sealed.MAC_INVALID in done.stderr


def test_a_key_replaces_the_one_before(program: Path, tmp_path: Path) -> None:
    device = sealed.provisioned(program, tmp_path, bytes(32))
    assert device.install(wrap(sealed.MASTER, device.point())).returncode == 0
    assert device.run(sealed.package())[0].returncode == 0


@pytest.mark.parametrize("at", [5, 40, 68, 81, 112, 113, 128])
def test_a_changed_blob_changes_nothing(device: Device, at: int) -> None:
    blob = bytearray(wrap(bytes(32), device.point()))
    blob[at] ^= 1
    done = device.install(bytes(blob))
    assert done.returncode == 1
    code = sealed.MAC_INVALID if at > 80 else sealed.BAD_FORMAT
    assert code in done.stderr
    assert device.run(sealed.package())[0].returncode == 0


def test_a_blob_for_another_device(device: Device) -> None:
    other = point_of(ec.derive_private_key(5, ec.SECP256R1()))
    done = device.install(wrap(bytes(32), other))
    assert done.returncode == 1
    assert sealed.MAC_INVALID in done.stderr
    assert device.run(sealed.package())[0].returncode == 0


def test_busy_storage(device: Device) -> None:
    for done in (
        device.call("identity", device.folder / "p", FAKE_TEE_BUSY="1"),
        device.run(sealed.package(), FAKE_TEE_BUSY="1")[0],
    ):
        assert done.returncode == 1
        assert "0xffff000d (another session is at it)" in done.stderr


# --- Versions ------------------------------------------------------------------------------------


def test_older_versions_are_refused(device: Device) -> None:
    def code(version: int, name: str = "digits") -> str:
        done, _ = device.run(sealed.package(version, name))
        return "" if done.returncode == 0 else done.stderr

    assert code(2) == ""
    assert sealed.SECURITY in code(1)
    assert code(2) == ""
    assert code(0xFFFFFFFE) == ""
    assert sealed.SECURITY in code(2)
    assert code(1, "another family") == ""


def test_a_version_that_is_made_up(device: Device) -> None:
    """The header's version and identity are bound to every block."""
    package = sealed.package(1)
    assert sealed.MAC_INVALID in device.run(replace(package, version=2))[0].stderr
    other = bytes([package.identity[0] ^ 1]) + package.identity[1:]
    assert sealed.MAC_INVALID in device.run(replace(package, identity=other))[0].stderr
    assert device.run(package)[0].returncode == 0  # the counter did not move


def test_a_package_that_does_not_fit_is_not_counted(device: Device) -> None:
    """Whichever allocation fails, the version before it still opens."""
    for number in range(1, 40):
        done, _ = device.run(sealed.package(5), images=1, FAKE_TEE_FAIL_AT=str(number))
        if done.returncode == 0:
            break
        assert device.run(sealed.package(1), images=1)[0].returncode == 0, number
    assert sealed.SECURITY in device.run(sealed.package(1))[0].stderr


def test_a_manifest_with_another_version_inside(device: Device) -> None:
    """Authentic, but not what its header says: the packer would have to be broken."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    package = sealed.package(1)
    label = b"tessera-package-1" + package.identity
    old, new = (
        AESGCM(hmac.digest(sealed.MASTER, label + number.to_bytes(4, "little"), hashlib.sha256))
        for number in (1, 2)
    )
    size = (len(package.blocks[0]) - 16).to_bytes(4, "little")
    aad = [
        b"TSP1" + package.identity + number.to_bytes(4, "little") + bytes(4) + size
        for number in (1, 2)
    ]
    plain = old.decrypt(bytes(12), package.blocks[0], aad[0])
    forged = sealed.changed(package, 0, new.encrypt(bytes(12), plain, aad[1]))
    assert sealed.BAD_FORMAT in device.run(replace(forged, version=2))[0].stderr


# --- Blocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["manifest", "code", "once", "each"])
@pytest.mark.parametrize("at", [0, -1])
def test_a_bit_flipped(device: Device, kind: str, at: int) -> None:
    package = sealed.package()
    block = {"manifest": 0, "code": 1, "once": package.once[-1], "each": package.each[-1]}[kind]
    content = bytearray(package.blocks[block])
    content[at] ^= 0x10
    done, got = device.run(sealed.changed(package, block, bytes(content)))
    assert (done.returncode, got) == (1, None)
    assert sealed.MAC_INVALID in done.stderr


def same_size(package: sealed.Sealed) -> tuple[int, int]:
    """Two constants of an inference that have the same size."""
    each = [index for index in package.each if index > package.codes]
    sizes = [len(package.blocks[index]) for index in each]
    return next(
        (one, other)
        for place, one in enumerate(each)
        for other in each[place + 1 :]
        if sizes[place] == len(package.blocks[other]) and one != other
    )


def test_blocks_swapped(device: Device) -> None:
    package = sealed.package()
    one, other = same_size(package)
    first, second = package.blocks[one], package.blocks[other]
    assert len(first) == len(second)
    swapped = sealed.changed(sealed.changed(package, one, second), other, first)
    assert sealed.MAC_INVALID in device.run(swapped)[0].stderr


def test_a_block_of_another_version(device: Device) -> None:
    new, old = sealed.package(2), sealed.package(1)
    one, _ = same_size(new)
    assert sealed.MAC_INVALID in device.run(sealed.changed(new, one, old.blocks[one]))[0].stderr


@pytest.mark.parametrize("way", ["swapped", "again", "left out", "more"])
def test_another_feed(device: Device, way: str) -> None:
    """The feed is not trusted: the TA knows which block comes next."""
    package = sealed.package()
    one, other = same_size(package)
    feed = list(package.each)
    at, there = feed.index(one), feed.index(other)
    if way == "swapped":
        feed[at], feed[there] = other, one
    elif way == "again":
        feed.insert(at, one)
    elif way == "left out":
        del feed[-1]
    else:
        feed.append(one)
    done, got = device.run(replace(package, each=tuple(feed)))
    assert (done.returncode, got) == (1, None)
    assert "run failed" in done.stderr


def test_no_byte_of_the_weights_leaves_in_the_clear(device: Device) -> None:
    """Neither the package nor the storage has them; the storage has no key of the package."""
    device.run(sealed.package())
    weights = digits.model_path().read_bytes()[4096:]
    pieces = [weights[at : at + 16] for at in range(0, len(weights) - 16, 512)]
    for path in device.folder.iterdir():
        content = path.read_bytes()
        assert not any(piece in content for piece in pieces), path


# --- The client's battery, and the checks taken out in turn --------------------------------------


@pytest.mark.parametrize("env", [{}, HOSTILE], ids=["calm", "hostile"])
def test_abuse(device: Device, env: dict[str, str]) -> None:
    done = device.abuse(sealed.package(), "--cases", "60", "--seed", "3", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "224 cases, 60 sequences of seed 3, 0 surprises"


def test_out_of_memory_everywhere(device: Device) -> None:
    """Refused with the right code, nothing leaked: the stand-in counts memory and handles."""
    refused = 0
    for number in range(1, 40):
        done, _ = device.run(sealed.package(), images=1, FAKE_TEE_FAIL_AT=str(number))
        if done.returncode == 0:
            break
        assert done.returncode == 1
        assert sealed.OUT_OF_MEMORY in done.stderr
        refused += 1
    assert 8 <= refused < 39


def test_out_of_memory_while_a_key_is_installed(device: Device) -> None:
    blob = wrap(sealed.MASTER, device.point())
    refused = 0
    for number in range(1, 40):
        done = device.install(blob, FAKE_TEE_FAIL_AT=str(number))
        if done.returncode == 0:
            break
        assert sealed.OUT_OF_MEMORY in done.stderr
        refused += 1
    assert 8 <= refused < 39


BAD = "return TEE_ERROR_BAD_PARAMETERS;\n"
TA, PACKAGE, KEYS, SEAL = "tessera_sealed_ta.c", "package.c", "keys.c", "seal.c"
MUTANTS: dict[str, tuple[str, str, str]] = {  # a check, and what is left of it
    "identity: types": (TA, "if (types != TYPES(MEMREF_OUTPUT, NONE, NONE, NONE))\n"
                        f"\t\t{BAD}\tres = keys_identity", "res = keys_identity"),
    "install: size": (TA, "params[0].memref.size != sizeof(blob)", "0"),
    "open: state": (TA, "if (session->open || session->over)", "if (session->open)"),
    "open: twice": (TA, "if (session->open || session->over)", "if (session->over)"),
    "open: answer": (TA, "params[1].memref.size < sizeof(info)", "0"),
    "step: types": (TA, "VALUE_INOUT))\n\t\treturn TEE_ERROR_BAD_PARAMETERS",
                    "VALUE_INOUT))\n\t\t;"),
    "step: state": (TA, "if (!session->open)\n\t\treturn TEE_ERROR_BAD_STATE;\n\tif (params[3]",
                    "if (params[3]"),
    "step: count": (TA, "params[3].value.a != (package->begun ? package->taken : 0)", "0"),
    "step: kept after a failure": (TA, "package_close(package);\n\t\tsession->open = false", ";"),
    "close: not wiped": (TA, "tx_wipe(session, sizeof(*session))", ";"),
    "unknown command": (TA, "return TEE_ERROR_NOT_SUPPORTED", "return TEE_SUCCESS"),
    "open: sizes": (PACKAGE, "if (size <= least ||", "if (0 && "),
    "open: too large": (PACKAGE, "size - least > TX_MAX_CHUNK", "0"),
    "open: not words": (PACKAGE, "|| size % 4)", ")"),
    "io: too early": (PACKAGE, "return in->size || out->size ?", "return 0 ?"),
    "io: inputs": (PACKAGE, "in->size != package->input_bytes", "0"),
    "io: outputs": (PACKAGE, "if (out->size < package->output_bytes + tag)", "if (0)"),
    "block: tag": (PACKAGE, "res = seal_block(&package->seal, index, to, size, tag);",
                   "res = seal_block(&package->seal, index, to, size, tag);\n"
                   "\tif (res == TEE_ERROR_MAC_INVALID) {\n"
                   "\t\tTEE_ResetOperation(package->seal.cipher.operation);\n"
                   "\t\tres = TEE_SUCCESS;\n\t}"),
    "block: part of one": (PACKAGE, "if (size < whole)", "if (0)"),
    "block: more than is needed": (PACKAGE, "return size ? TEE_ERROR_BAD_FORMAT : TEE_SUCCESS",
                                   "return TEE_SUCCESS"),
    "close: arena": (PACKAGE, "drop(package->arena, package->manifest.arena)",
                     "TEE_Free(package->arena)"),
    "close: leak": (PACKAGE, "drop(package->packed, package->manifest.chunk)", ";"),
    "keys: nonce": (KEYS, "TEE_MemCompare(blob + BLOB_NONCE, nonce, sizeof(nonce)) ||", ""),
    "keys: magic": (KEYS, "TEE_MemCompare(blob, kind->magic, sizeof(kind->magic)) ||", ""),
    "keys: curve": (KEYS, "!point_is_valid(blob + BLOB_POINT)", "0"),
    "point: field": ("point.c", "TEE_BigIntCmp(x, p) >= 0 || TEE_BigIntCmp(y, p) >= 0", "0"),
    "point: form": ("point.c", "if (point[0] != 4)", "if (0)"),
    "cipher: key left": (SEAL, "if (!TEE_SetOperationKey(cipher->operation, cipher->blank))",
                         "if (0)"),
    "cipher: wrong place": (SEAL, "{ &index, sizeof(index) },", "{ &bytes, sizeof(bytes) },"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_ta_without_a_check_is_caught(name: str, tmp_path: Path) -> None:
    try:
        device = sealed.provisioned(sealed.build(tmp_path, [MUTANTS[name]]), tmp_path)
    except AssertionError:
        assert name == "cipher: key left"  # the stand-in stops it at the first key
        return
    assert device.abuse(sealed.package(), "--cases", "20").returncode != 0


def test_a_ta_that_reads_a_block_twice_is_caught(tmp_path: Path) -> None:
    """What was checked at the first read is not what the second one gives."""
    twice = (
        PACKAGE,
        "\tif (!res) {\n\t\tpackage->blocks++;",
        "\tif (!res) {\n\t\tuint8_t *rest = TEE_Malloc(size, 0);\n"
        "\t\tTEE_MemMove(rest, shared, size);\n"
        "\t\tif (TEE_MemCompare(rest, first, size))\n\t\t\tres = TEE_ERROR_GENERIC;\n"
        "\t\ttx_wipe(rest, size);\n\t\tTEE_Free(rest);\n\t\tpackage->blocks++;",
    )
    start = (
        PACKAGE,
        "\tTEE_MemMove(to, shared, size);\n\tTEE_MemMove(tag,",
        "\tstatic uint8_t first[65536];\n\tTEE_MemMove(to, shared, size);\n"
        "\tTEE_MemMove(first, to, size);\n\tTEE_MemMove(tag,",
    )
    program = sealed.build(tmp_path, [twice, start])
    device = sealed.provisioned(program, tmp_path)
    assert device.run(sealed.package())[0].returncode == 0
    assert device.run(sealed.package(), **HOSTILE)[0].returncode == 1


def test_a_counter_that_is_not_kept_is_caught(tmp_path: Path) -> None:
    edits = [(KEYS, "if (version < highest)", "if (0)")]
    device = sealed.provisioned(sealed.build(tmp_path, edits), tmp_path)
    assert device.run(sealed.package(2))[0].returncode == 0
    assert device.run(sealed.package(1))[0].returncode == 0


# --- The client's own mistakes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no command"),
        (["bake"], "unknown command bake"),
        (["run", "a", "b"], "too few files"),
        (["run", "a", "b", "c", "d"], "unexpected d"),
        (["run", "--fast", "a", "b", "c"], "unexpected --fast"),
        (["run", "a", "b", "c", "--window"], "no number after --window"),
        (["run", "a", "b", "c", "--window", "wide"], "not a number from 0 to 16777216: wide"),
        (["run", "a", "b", "c", "--hold-open", "-1"], "not a number from 0 to 3600: -1"),
        (["run", "none.tsp", "b", "c"], "none.tsp: No such file"),
        (["run", str(digits.model_path()), "b", "c"], "this is no sealed package"),
        (["install", "/dev/null"], "the file is empty"),
    ],
)
def test_bad_usage_and_files(device: Device, words: list[str], message: str) -> None:
    done = device.call(*words)
    assert done.returncode == 2
    assert message in done.stderr


def test_damaged_packages(device: Device) -> None:
    data = to_bytes(sealed.package())
    for cut in (3, 63, 70, len(data) - 1):
        done, got = device.run(data[:cut])
        assert (done.returncode, got) == (2, None)
    for at, value in ((4, 2), (36, 255), (40, 255), (44, 255), (52, 255), (64, 255), (32, 0)):
        wrong = bytearray(data)
        wrong[at : at + 4] = bytes([value] * 4) if value != 2 else b"\2\0\0\0"
        done, got = device.run(bytes(wrong))
        assert (done.returncode, got) == (2, None), at


def test_inputs_that_are_no_whole_number(device: Device) -> None:
    path = device.folder / "cut"
    path.write_bytes(bytes(255))
    (device.folder / "p.tsp").write_bytes(to_bytes(sealed.package()))
    done = device.call("run", device.folder / "p.tsp", path, device.folder / "out")
    assert done.returncode == 2
    assert "255 bytes are not a whole number of inputs of 256 bytes" in done.stderr


def test_help(device: Device) -> None:
    done = device.call("--help")
    assert done.returncode == 0
    assert "Example: tessera_sealed run" in done.stdout
