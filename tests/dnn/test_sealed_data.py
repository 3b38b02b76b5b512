"""Sealed inputs and outputs on the host: the TA's answers, and each of its checks taken out."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sealed_ta as sealed
from cryptography.hazmat.primitives.asymmetric import ec
from sealed_ta import Device

from tessera.dnn import digits, reference
from tessera.errors import TesseraError
from tessera.package import user_data
from tessera.package.file import to_bytes
from tessera.package.wrap import OWNER, USER, point_of, wrap

USER_KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
IMAGES = 3
APART = {"FAKE_TEE_SEALED_IO": "1"}
"""The stand-in lets the TA touch inputs and outputs by copying only."""
MODES = {"calm": APART, "hostile": {**APART, "FAKE_TEE_HOSTILE": "1"}}


def binding(package: sealed.Sealed) -> bytes:
    return user_data.binding_of(sealed.MASTER, package.identity, package.version)


def plain(count: int = IMAGES) -> list[bytes]:
    return [one.astype("<f4").tobytes() for one in digits.held_out()[0][:count]]


@functools.cache
def inputs(user: bytes = USER_KEY) -> bytes:
    """The digits, sealed for the package."""
    return user_data.seal_inputs(plain(), user, binding(sealed.package()))


@dataclass(frozen=True, slots=True)
class User:
    """A device that has the owner's key, and a folder of files for it."""

    device: Device

    def path(self, name: str, content: bytes) -> Path:
        path = self.device.folder / name
        path.write_bytes(content)
        return path

    def blob(self, key: bytes = USER_KEY) -> bytes:
        return wrap(key, self.device.point(), kind=USER)

    def words(self, package: sealed.Sealed, blob: bytes | None, given: bytes) -> list[Path]:
        return [
            self.path("u.tsp", to_bytes(package)),
            self.path("user.wrap", self.blob() if blob is None else blob),
            self.path("in.tsin", given),
        ]

    def run(
        self,
        given: bytes,
        package: sealed.Sealed | None = None,
        blob: bytes | None = None,
        **env: str,
    ) -> tuple[int, str, bytes]:
        """Exit code, errors, outputs."""
        out = self.device.folder / "out.tsou"
        out.unlink(missing_ok=True)
        words = self.words(package or sealed.package(), blob, given)
        done = self.device.call("run-sealed", *words, out, **{**APART, **env})
        return done.returncode, done.stderr, out.read_bytes() if out.exists() else b""

    def refused(self, given: bytes, package: sealed.Sealed | None = None, **more: bytes) -> str:
        """What it says when it makes nothing."""
        code, said, out = self.run(given, package, more.get("blob"))
        assert code == 1 and not out
        return said


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed.build(tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def user(program: Path, tmp_path: Path) -> User:
    return User(sealed.provisioned(program, tmp_path))


def opened(out: bytes, given: bytes, key: bytes = USER_KEY) -> list[bytes]:
    return user_data.open_outputs(out, user_data.read_batch(given, "in"), key, "out")


@pytest.mark.parametrize("mode", MODES)
def test_answers_are_those_of_the_reference(user: User, mode: str) -> None:
    code, said, out = user.run(inputs(), **MODES[mode])
    assert code == 0, said
    got = np.frombuffer(b"".join(opened(out, inputs())), "<f4").reshape(IMAGES, -1)
    wanted = reference.run(digits.model(), digits.held_out()[0][:IMAGES])
    assert np.abs(got - wanted).max() <= 1e-4
    # The same in the clear, to the bit; and none of it in what the normal world has
    clear = user.device.run(sealed.package(), images=IMAGES)[1]
    assert clear is not None and clear.tobytes() == got.tobytes()
    for one in (*plain(), *(row.tobytes() for row in got)):
        assert one not in inputs() + out


def test_two_sessions_answer_alike_in_other_bytes(user: User) -> None:
    first, second = (user.run(inputs())[2] for _ in range(2))
    assert opened(first, inputs()) == opened(second, inputs())
    size = len(first) // 8
    pieces = {first[at : at + size] for at in range(64, len(first) - size, size)}
    assert not any(piece in second for piece in pieces)


def test_a_larger_window_and_a_small_one(user: User) -> None:
    words = user.words(sealed.package(), None, inputs())
    for window in ("4112", "262144"):
        out = user.device.folder / window
        done = user.device.call("run-sealed", *words, out, "--window", window, **APART)
        assert done.returncode == 0, done.stderr
        assert len(opened(out.read_bytes(), inputs())) == IMAGES


def test_other_keys(user: User) -> None:
    assert sealed.MAC_INVALID in user.refused(inputs(OTHER_KEY))
    assert sealed.MAC_INVALID in user.refused(inputs(), blob=user.blob(OTHER_KEY))
    other = point_of(ec.derive_private_key(5, ec.SECP256R1()))
    elsewhere = wrap(USER_KEY, other, kind=USER)
    assert sealed.MAC_INVALID in user.refused(inputs(), blob=elsewhere)


def test_an_owner_s_key_and_a_user_s_are_two_things(user: User) -> None:
    """Also where somebody changes the first letters of a blob."""
    point = user.device.point()
    owner = wrap(USER_KEY, point, kind=OWNER)
    assert sealed.BAD_FORMAT in user.refused(inputs(), blob=owner)
    assert sealed.MAC_INVALID in user.refused(inputs(), blob=USER.magic + owner[4:])
    mine = wrap(bytes(32), point, kind=USER)
    assert sealed.BAD_FORMAT in user.device.install(mine).stderr
    assert sealed.MAC_INVALID in user.device.install(OWNER.magic + mine[4:]).stderr
    assert user.run(inputs())[0] == 0  # the owner's key is still there


def test_inputs_of_another_network(user: User) -> None:
    """Of another version, family, and owner; and bound to the identity alone."""
    package = sealed.package()
    for other in (sealed.package(2), sealed.package(1, "another")):
        given = user_data.seal_inputs(plain(), USER_KEY, binding(other))
        assert sealed.MAC_INVALID in user.refused(given)
    for wrong in (
        package.identity,
        user_data.binding_of(bytes(32), package.identity, package.version),
        user_data.binding_of(sealed.MASTER, package.identity, 2),
    ):
        given = user_data.seal_inputs(plain(), USER_KEY, wrong)
        assert sealed.MAC_INVALID in user.refused(given)


@pytest.mark.parametrize("at", [-1, -16, -17, 48, 48 + 272 * 2])
def test_a_bit_of_an_input(user: User, at: int) -> None:
    given = bytearray(inputs())
    given[at] ^= 4
    assert sealed.MAC_INVALID in user.refused(bytes(given))


def test_inputs_in_another_order(user: User) -> None:
    head, one = 48, 256 + 16
    first, second, third = (inputs()[head + one * k :][:one] for k in range(3))
    for order in ((second, first, third), (first, first, third), (first, third, second)):
        assert sealed.MAC_INVALID in user.refused(inputs()[:head] + b"".join(order))
    # Of another batch of the same user, at the same place
    other = user_data.seal_inputs(plain(), USER_KEY, binding(sealed.package()))
    mixed = inputs()[: head + one] + other[head + one :]
    assert sealed.MAC_INVALID in user.refused(mixed)


def test_outputs_that_do_not_open(user: User) -> None:
    out = user.run(inputs())[2]
    head, one = 64, 40 + 16
    with pytest.raises(TesseraError, match="another key"):
        opened(out, inputs(), OTHER_KEY)
    swapped = out[:head] + out[head + one : head + 2 * one] + out[head : head + one]
    for wrong in (swapped + out[head + 2 * one :], out[:-1] + bytes([out[-1] ^ 1])):
        with pytest.raises(TesseraError, match="does not open"):
            opened(wrong, inputs())
    session = bytearray(out)
    session[50] ^= 1
    with pytest.raises(TesseraError, match="does not open"):
        opened(bytes(session), inputs())
    fewer = out[:12] + (2).to_bytes(4, "little") + out[16:-one]
    other = user_data.seal_inputs(plain(), USER_KEY, binding(sealed.package()))
    for wrong, given in ((fewer, inputs()), (out, other)):
        with pytest.raises(TesseraError, match="do not answer those inputs"):
            opened(wrong, given)


def test_files_that_are_no_sealed_inputs(user: User) -> None:
    good = inputs()
    for given, words in (
        (b"TSIN", "no sealed inputs"),
        (b"TSOU" + good[4:], "no sealed inputs"),
        (good[:4] + b"\2" + good[5:], "another format"),
        (good[:-1], "cut or damaged"),
        (good + b"\0", "cut or damaged"),
        (good[:8] + bytes(4) + good[12:], "cut or damaged"),
        (good[:12] + bytes(4) + good[16:], "cut or damaged"),
        (good[:8] + b"\xff" * 8 + good[16:], "cut or damaged"),
    ):
        code, said, out = user.run(given)
        assert (code, out) == (2, b"") and words in said, words
    small = user_data.seal_inputs([bytes(8)], USER_KEY, binding(sealed.package()))
    code, said, _ = user.run(small)
    assert code == 2 and "the inputs have 8 bytes, the network takes 256" in said


def test_out_of_memory_everywhere(user: User) -> None:
    """Refused with the right code, nothing leaked: the stand-in counts memory and handles."""
    refused = 0
    for number in range(1, 60):
        code, said, _ = user.run(inputs(), FAKE_TEE_FAIL_AT=str(number))
        if code == 0:
            break
        assert code == 1 and sealed.OUT_OF_MEMORY in said, number
        refused += 1
    assert 20 <= refused < 59


# --- The client's battery, and the checks taken out in turn --------------------------------------


def battery(user: User, **env: str) -> tuple[int, str]:
    words = user.words(sealed.package(), None, inputs())
    done = user.device.call("abuse-sealed", *words, **{**APART, **env})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_abuse(user: User, mode: str) -> None:
    code, said = battery(user, **MODES[mode])
    assert code == 0, said
    assert said.splitlines()[-1] == "80 cases, 0 surprises"


TA, PACKAGE, KEYS, DATA = "tessera_sealed_ta.c", "package.c", "keys.c", "user_data.c"
NUMBERED = "{ &data->number, sizeof(data->number) },\n"
BATCHED = "{ data->batch, sizeof(data->batch) },\n"
MUTANTS: dict[str, tuple[str, str, str]] = {  # a check, and what is left of it
    "key: size": (TA, "params[0].memref.size != sizeof(given)", "0"),
    "key: answer": (TA, "params[1].memref.size < sizeof(drawn)", "0"),
    "key: twice": (PACKAGE, "if (package->data.open || package->steps)", "if (package->steps)"),
    "key: after a step": (PACKAGE, "if (package->data.open || package->steps)",
                          "if (package->data.open)"),
    "key: kind": (KEYS, "TEE_MemCompare(blob, kind->magic, sizeof(kind->magic)) ||", ""),
    "key: label": (KEYS, "check_and_open(blob, &of_user)", "check_and_open(blob, &of_owner)"),
    "key: nonce": (KEYS, "TEE_MemCompare(blob + BLOB_NONCE, nonce, sizeof(nonce)) ||", ""),
    "key: curve": (KEYS, "!point_is_valid(blob + BLOB_POINT)", "0"),
    "binding: the identity": (KEYS, "TEE_MemMove(binding, digest, TESSERA_SEALED_BINDING)",
                              "TEE_MemMove(binding, identity, TESSERA_SEALED_BINDING)"),
    "input: size": (PACKAGE, "in->size != package->input_bytes + tag", "0"),
    "output: size": (PACKAGE, "if (out->size < package->output_bytes + tag)",
                     "if (out->size < package->output_bytes)"),
    "input: tag": (DATA, "return seal_decrypt(&data->in, (const uint8_t *)nonce, aad,\n"
                         "\t\t\t    sizeof(aad) / sizeof(aad[0]), data->input, size,\n"
                         "\t\t\t    tag);",
                   "if (!seal_decrypt(&data->in, (const uint8_t *)nonce, aad,\n"
                   "\t\t\t    sizeof(aad) / sizeof(aad[0]), data->input, size,\n"
                   "\t\t\t    tag))\n\t\treturn TEE_SUCCESS;\n"
                   "\tTEE_ResetOperation(data->in.operation);\n\treturn TEE_SUCCESS;"),
    "input: not opened": (PACKAGE, "res = user_data_take(&package->data, in->data,",
                          "if (0)\n\t\tres = user_data_take(&package->data, in->data,"),
    "input: in place": (PACKAGE, "sealed ? package->data.input : in->data", "in->data"),
    "input: opened at each step": (PACKAGE, "if (!package->begun)\n\t\tres = begin(package, in);",
                                   "if (package->begun && !package->once && sealed)\n"
                                   "\t\tres = user_data_take(&package->data, in->data,\n"
                                   "\t\t\t\t     package->input_bytes);\n"
                                   "\tif (!package->begun)\n\t\tres = begin(package, in);"),
    "input: its place": (DATA, f"{BATCHED}\t\t{NUMBERED}", BATCHED),
    "input: counted": (DATA, "data->number++;", ";"),
    "input: batch": (DATA, "TEE_MemMove(data->batch, batch, sizeof(data->batch));", ";"),
    "output: in place": (PACKAGE, "sealed ? package->data.output : out->data", "out->data"),
    "output: a key of the session": (
        DATA, "TEE_GenerateRandom(data->session, sizeof(data->session));", ";"
    ),
    "output: not sealed": (PACKAGE, "res = user_data_give(&package->data, out->data,",
                           "if (0)\n\t\tres = user_data_give(&package->data, out->data,"),
    "close: input": (PACKAGE, "drop(package->data.input, package->input_bytes)",
                     "TEE_Free(package->data.input)"),
    "close: output": (PACKAGE, "drop(package->data.output, package->output_bytes)",
                      "TEE_Free(package->data.output)"),
    "close: key of inputs": (DATA, "seal_cipher_close(&data->in);", ";"),
    "close: key of outputs": (DATA, "seal_cipher_close(&data->out);", ";"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_ta_without_a_check_is_caught(name: str, tmp_path: Path) -> None:
    user = User(sealed.provisioned(sealed.build(tmp_path, [MUTANTS[name]]), tmp_path))
    assert battery(user)[0] != 0


OUTPUT = "\t\t{ data->session, sizeof(data->session) },\n"
UNBOUND: dict[str, list[tuple[str, str, str]]] = {
    "number": [(DATA, f"{OUTPUT}\t\t{NUMBERED}", OUTPUT)],
    "direction": [(DATA, "{ out_magic, sizeof(out_magic) },", "{ in_magic, sizeof(in_magic) },")],
    "label": [
        (DATA, "{ out_label, sizeof(out_label) - 1 },", "{ in_label, sizeof(in_label) - 1 },")
    ],
}


@pytest.mark.parametrize("name", UNBOUND)
def test_outputs_that_are_bound_to_less_do_not_open(name: str, tmp_path: Path) -> None:
    """What the normal world cannot see, the user does."""
    user = User(sealed.provisioned(sealed.build(tmp_path, UNBOUND[name]), tmp_path))
    code, said, out = user.run(inputs())
    assert code == 0, said
    with pytest.raises(TesseraError, match="does not open"):
        opened(out, inputs())
