"""A real OP-TEE under QEMU: booting, talking, looking inside, and failing in the right way."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.errors import TesseraError
from tessera.guest import build, cache, machine, optee, qemu, ta, tfa, toolchain

pytestmark = pytest.mark.guest

HOG = "verification/guest/hog"


def test_commands_give_output_and_status(plain_guest: machine.Guest) -> None:
    result = plain_guest.run("echo out; echo err >&2; exit 42")
    assert (result.status, result.output) == (42, "out\nerr")
    assert plain_guest.run("test -c /dev/tee0").status == 0
    assert plain_guest.run("no-such-command").status == 127


def test_output_of_any_bytes_and_length_arrives(plain_guest: machine.Guest, tmp_path: Path) -> None:
    assert plain_guest.run("seq 20000").output == "\n".join(str(n) for n in range(1, 20001))
    assert plain_guest.run("printf '@tessera:ready:0@\\n'; exit 3").status == 3
    assert len(plain_guest.read_file("/lib/modules/tee.ko")) > 10000
    with pytest.raises(machine.GuestError, match="cannot read /no/such"):
        plain_guest.read_file("/no/such")


def test_a_command_that_runs_too_long_is_ended_and_the_guest_lives_on(
    plain_guest: machine.Guest,
) -> None:
    assert plain_guest.run("sleep 600", timeout=1).status in (124, 137, 143)
    assert plain_guest.run("true").status == 0


def test_the_time_to_the_first_command_is_recorded(plain_guest: machine.Guest) -> None:
    assert 0 < plain_guest.ready_seconds < machine.BOOT_TIMEOUT


def test_optees_own_tests_run_and_can_fail(plain_guest: machine.Guest) -> None:
    passed = plain_guest.run("xtest 1001", timeout=120)
    assert passed.status == 0
    assert "0 failed" in passed.output
    hidden = "mv /lib/optee_armtz /lib/hidden; xtest 1004; s=$?; mv /lib/hidden /lib/optee_armtz"
    assert plain_guest.run(f"{hidden}; exit $s", timeout=120).status != 0


def test_secure_ram_holds_optee_and_is_not_what_linux_sees(
    plain_guest: machine.Guest, unpatched_build: build.Build
) -> None:
    memory = plain_guest.secure_ram()
    plain_guest.cont()
    assert len(memory) == qemu.SECURE_RAM_SIZE
    assert b"Embedded DTB found" in memory  # a string of OP-TEE's core
    assert b"Linux version 6.1" not in memory
    # Read-only data of the core lies in it as it was built.
    image = (unpatched_build.dir / "tee-pager_v2.bin").read_bytes()
    at = image.index(b"Embedded DTB found")
    assert image[at - 256 : at + 256] in memory


def test_a_stopped_guest_stands_still_and_goes_on(plain_guest: machine.Guest) -> None:
    first = plain_guest.secure_ram()
    second = plain_guest.secure_ram()
    assert first == second
    plain_guest.cont()
    assert plain_guest.run("echo alive").output == "alive"


def test_a_panic_of_linux_is_one_error_with_both_consoles(
    unpatched_build: build.Build, tmp_path: Path
) -> None:
    with machine.boot(unpatched_build, name="panic", log_folder=tmp_path) as guest:
        pid = guest._qemu.pid
        with pytest.raises(machine.GuestError) as caught:
            guest.run("echo c >/proc/sysrq-trigger", timeout=60)
    message = caught.value.render()
    assert "Linux console" in message
    assert "OP-TEE console" in message
    assert "Kernel panic" in message
    assert "Primary CPU" in message
    assert not Path(f"/proc/{pid}").exists()


def test_a_guest_whose_optee_is_broken_is_an_error_not_a_hang(
    unpatched_build: build.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    flash = bytearray(unpatched_build.flash.read_bytes())
    start = tfa.FIP_OFFSET + 100_000
    flash[start : start + 300_000] = bytes(300_000)
    (folder / "flash.bin").write_bytes(flash)
    monkeypatch.setattr(machine, "BOOT_TIMEOUT", 8.0)
    broken = dataclasses.replace(unpatched_build, dir=folder)
    with (
        pytest.raises(machine.GuestError, match="the guest failed"),
        machine.boot(broken, name="broken", log_folder=tmp_path),
    ):
        pass


def test_a_ta_from_another_kit_is_refused(
    unpatched_build: build.Build, guest_tools: toolchain.Toolchain, tmp_path: Path
) -> None:
    hog = resources.path(HOG)
    good = ta.build_ta(unpatched_build, hog / "ta")
    forged = tmp_path / good.name
    content = bytearray(good.read_bytes())
    content[-1000] ^= 1
    forged.write_bytes(content)
    client = ta.build_client(hog / "client", "tessera_hog", [hog / "ta"])
    files: dict[str, Path | bytes] = {"/usr/bin/tessera_hog": client}
    with machine.boot(
        unpatched_build, tas=[forged], extra_files=files, name="forged", log_folder=tmp_path
    ) as guest:
        result = guest.run("tessera_hog 1 true")
    assert result.status == 125
    assert "0xffff000f" in result.output  # a security error


def test_the_second_build_builds_nothing(unpatched_build: build.Build) -> None:
    stamp = unpatched_build.flash.stat().st_mtime_ns
    messages: list[str] = []
    again = build.build(None, None, messages.append)
    assert again == unpatched_build
    assert messages == []
    assert again.flash.stat().st_mtime_ns == stamp


def test_a_blank_patch_is_no_patch(unpatched_build: build.Build) -> None:
    assert build.build(" \n", None).key == unpatched_build.key


def test_patch_and_tree_have_keys_of_their_own(
    unpatched_build: build.Build, patched_build: build.Build
) -> None:
    assert patched_build.patched
    assert not unpatched_build.patched
    assert patched_build.key != unpatched_build.key
    assert patched_build.version == unpatched_build.version
    assert patched_build.flash.read_bytes() != unpatched_build.flash.read_bytes()


def test_a_patch_that_does_not_fit_is_one_error_and_leaves_nothing(
    guest_tools: toolchain.Toolchain,
) -> None:
    patch = "--- a/core/mm/tee_mm.c\n+++ b/core/mm/tee_mm.c\n@@ -1 +1 @@\n-no such line\n+x\n"
    with pytest.raises(TesseraError, match="does not apply") as caught:
        build.build(patch, None)
    assert "tessera patch SPEC --tree" in caught.value.remedy


def test_a_build_that_fails_shows_the_last_words_of_make(
    guest_tools: toolchain.Toolchain, optee_tree: Path
) -> None:
    first = (optee_tree / "mk/config.mk").read_text().splitlines()[0]
    patch = (
        "--- a/mk/config.mk\n+++ b/mk/config.mk\n"
        f"@@ -1 +1,2 @@\n {first}\n+$(error no such policy)\n"
    )
    builds = cache.root() / "builds"
    before = set(builds.iterdir()) if builds.is_dir() else set()
    with pytest.raises(TesseraError, match="no such policy"):
        build.build(patch, None)
    assert set(builds.iterdir()) == before


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_that_is_not_optee_is_refused(
    guest_tools: toolchain.Toolchain, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TesseraError, match="not an OP-TEE source tree"):
        build.build(None, tmp_path / name)


def test_the_fetched_tree_tells_its_version(
    guest_tools: toolchain.Toolchain, optee_tree: Path
) -> None:
    assert optee.read_tree(optee_tree).version == guest_tools.optee_version


def test_run_leaves_with_the_commands_status(
    unpatched_build: build.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["guest", "run", "--", "echo said; exit 5"])
    assert result.exit_code == 5
    assert "said" in result.output
    assert (tmp_path / "out/guest/run.linux.log").is_file()
    assert (tmp_path / "out/guest/run.optee.log").is_file()


def test_shell_runs_lines_until_the_input_ends(
    unpatched_build: build.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["guest", "shell"], input="echo one\necho two; false\n")
    assert result.exit_code == 0
    assert "one" in result.output
    assert "exit status 1" in result.output


def test_leaving_the_block_ends_qemu_even_on_an_interrupt(
    unpatched_build: build.Build, tmp_path: Path
) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        machine.boot(unpatched_build, name="ctrl-c", log_folder=tmp_path) as guest,
    ):
        pid = guest._qemu.pid
        os.kill(pid, 0)
        raise KeyboardInterrupt
    time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
