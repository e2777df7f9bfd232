"""Bad input of `ez env go`, each with its sentence, nothing of the user's touched.

`mark1 doctor` is typed on the command line too.

About: environment, doctor.
"""
import json
import os
import shutil
import subprocess

import pytest

from conftest import BIN, typed

GOOD = '{"base_container_image": "image:1"}'
# what a stand-in for `docker` does, by the words it is given; the real one runs in test_container.py
DOCKER = {
    "info": "echo 27.1",
    "image inspect": "exit 0",
    "run --rm --network=none --entrypoint=sh": "echo 99000000",
    "run --rm --network=none --gpus=all": "exit 125",
}
FAILS = 'echo \'{"outcome": "error", "description": "stand-in"}\'; exit 1' # said by `devcontainer up`
TOO_OLD = "image:1 has Python 3.7, and 3.9 is needed; " \
          "name another base image, for instance python:3.11-bookworm"


@pytest.fixture
def computer(tmp_path):
    "Run `ez env go` where only these programs exist; stand-ins log what they are asked."
    programs, log = tmp_path/"programs", tmp_path/"log"
    programs.mkdir()
    submodules = ("sed", "basename") # which git wants for them
    needed = ("git", "sh", "env", "cat", "ls", "uname", "ssh", *submodules)
    for name in needed: (programs/name).symlink_to(shutil.which(name))

    def stand_in(name, answers):
        cases = "\n".join(f'"{words}"*) {answer} ;;' for words, answer in answers.items())
        (programs/name).write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\ncase "$*" in\n{cases}\nesac\n')
        (programs/name).chmod(0o755)

    def go(*words, docker={}, cli="", read="", without=()):
        if "docker" not in without:
            others = {key: value for key, value in DOCKER.items() if key not in docker}
            stand_in("docker", {**docker, **others})
        if "npx" not in without:
            stand_in("devcontainer", {"read-configuration": read or "exit 1", "up": cli or FAILS})
        for name in without: (programs/name).unlink(missing_ok=True)
        home = tmp_path/"home"
        home.mkdir(exist_ok=True)
        environment = {"PATH": str(programs), "HOME": str(home), "TMPDIR": os.environ["TMPDIR"],
                       "GIT_CONFIG_NOSYSTEM": "1", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
        command = [BIN/"ez", "env", "go", *map(str, words)]
        result = typed(command, cwd=home, env=environment)
        lines = [line for line in result.stderr.splitlines() if line.startswith("ez: ")]
        assert len(lines) == 1 and "Traceback" not in result.stderr, result.stderr
        return result.returncode, lines[0].removeprefix("ez: ")
    go.home = tmp_path/"home"
    go.log = log
    return go


@pytest.fixture
def repository(tmp_path):
    "Make a repository with these files, to be cloned by its path."
    def make(**files):
        work = tmp_path/"course"
        work.mkdir()
        for name, text in files.items():
            path = work/name.replace("__", "/").replace("_json", ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, errors="surrogateescape")
        author = ("-c", "user.name=a", "-c", "user.email=a@b")
        commit = (*author, "commit", "-q", "--allow-empty", "-m", "all")
        for words in (("init", "-q"), ("add", "-A"), commit):
            subprocess.run(["git", *words], cwd=work, check=True)
        return work
    return make


@pytest.mark.parametrize("fault, settings", [
    ("no docker", {"without": ["docker"]}),
    ("Docker's engine is not running", {"docker": {
        "info": "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1",
    }}),
    ("Docker's engine is not running, and Docker says so without a code", {"docker": {
        "info": "echo 'failed to connect to the docker API' >&2; exit 0",
    }}),
    ("no permission to use Docker", {"docker": {
        "info": "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1",
    }}),
    ("Podman behind the command docker", {"docker": {
        "info": "echo \"can't evaluate field ServerVersion in type *define.Info\" >&2; exit 125",
    }}),
    ("WSL without Docker Desktop's integration", {"docker": {
        "info": "echo 'The command docker could not be found in this WSL 2 distro.'; exit 1",
    }}),
    ("a context of Docker's that is gone", {"docker": {
        "info": "echo 'Current context \"old\" is not found on the file system' >&2; exit 1",
    }}),
    ("another complaint of Docker's", {"docker": {
        "info": "echo 'x509: certificate has expired.' >&2; exit 1",
    }}),
    ("a Dev Containers CLI that prints no JSON", {"cli": "echo Killed"}),
    ("no Node.js for the Dev Containers CLI", {"without": ["npx", "devcontainer"]}),
    ("a base image that is missing", {"docker": {
        "image inspect": "exit 1",
        "pull": "echo 'Error response from daemon: manifest for image:1 not found' >&2; exit 1",
    }}),
    ("a base image that is too old", {"docker": {
        "run --rm --network=none --entrypoint=sh": f"echo '{TOO_OLD}' >&2; exit 1",
    }}),
    ("a disk too small for a container", {"docker": {
        "run --rm --network=none --entrypoint=sh": "echo 1500000",
    }}),
    ("a container that does not start", {}),
])
def test_a_computer_that_is_not_ready(computer, repository, outcome, fault, settings):
    outcome(fault, *computer(repository(ez_json=GOOD), "-n", ".", **settings))
    asked = computer.log.read_text() if computer.log.exists() else ""
    starts = ("a container that does not start", "a Dev Containers CLI that prints no JSON")
    assert "devcontainer up" not in asked or fault in starts


@pytest.mark.parametrize("fault, files", [
    ("no ez.json and no dev container", {"README": "read me"}),
    ("an ez.json that is no JSON", {"ez_json": "{'requires_gpu': true}"}),
    ("a wrong type in ez.json", {"ez_json": '{"requires_gpu": "maybe"}'}),
    ("an ez.json in another encoding", {"ez_json": "\ufeff{}\udcff"}),
    ("an ez.json that names no image", {"ez_json": '{"requires_gpu": true}'})])
def test_a_repository_that_is_not_ready(computer, repository, outcome, fault, files):
    outcome(fault, *computer(repository(**files), "-n", "."))
    assert not (computer.home/"course"/".devcontainer").exists()


def test_repositories_that_cannot_be_had(computer, outcome, tmp_path):
    outcome("a repository that is absent", *computer(f"file://{tmp_path}/nowhere", "-n", "."))
    private = computer("git@127.0.0.1:owner/repository", "-n", ".")
    outcome("a repository that is private, or a host that asks", *private)
    assert list(computer.home.iterdir()) == []


def test_a_folder_that_is_not_empty(computer, repository, outcome):
    (computer.home/"course").mkdir(parents=True)
    (computer.home/"course"/"mine.txt").write_text("mine")
    outcome("a target folder with something else in it", *computer(repository(ez_json=GOOD), "-n", "."))
    assert [path.name for path in (computer.home/"course").iterdir()] == ["mine.txt"]


def test_a_folder_inside_of_another_repository(computer, repository, outcome):
    "Above all one named like the repository that is asked for: nothing is pulled into what lies around it."
    work = repository(ez_json=GOOD)
    subprocess.run(["git", "clone", "-q", work, computer.home/"outer"], check=True)
    (computer.home/"outer"/"course").mkdir()
    (computer.home/"outer"/"course"/"mine.txt").write_text("mine")
    outcome("a folder inside of another repository", *computer(work, "-n", ".", "--into", "outer/course"))
    assert not (computer.home/"outer"/"course"/".devcontainer").exists()


def test_a_clone_of_another_user(computer, repository, outcome):
    work = repository(ez_json=GOOD)
    subprocess.run(["git", "clone", "-q", work, computer.home/"course"], check=True)
    stand_in = computer.home.parent/"programs"/"git"
    stand_in.unlink()
    stand_in.write_text("#!/bin/sh\n# git's own switch for its tests\n"
                        f"GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {shutil.which('git')} \"$@\"\n")
    stand_in.chmod(0o755)
    outcome("a clone that belongs to another user", *computer(f"file://{work}", "-n", "."))


def test_submodules_come_along(computer, repository, tmp_path):
    work = repository(ez_json=GOOD)
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    local = ("-c", "protocol.file.allow=always") # git trusts no local submodule by itself
    inner = tmp_path/"inner"
    subprocess.run(["git", "init", "-q", inner], check=True)
    subprocess.run(["git", *author, "commit", "-qm", "one", "--allow-empty"], cwd=inner, check=True)
    subprocess.run(["git", *local, "submodule", "--quiet", "add", inner, "part"], cwd=work, check=True)
    subprocess.run(["git", *author, "commit", "-qm", "two"], cwd=work, check=True)
    computer.home.mkdir(exist_ok=True)
    (computer.home/".gitconfig").write_text("[protocol \"file\"]\n\tallow = always\n")
    assert "stand-in" in computer(work, "-n", ".")[1]
    assert (computer.home/"course"/"part"/".git").exists()


def test_a_password_is_never_printed(computer):
    for words in (["https://ada:secret@127.0.0.1:1/a/b"], ["https://ada:secret@127.0.0.1:1/."]):
        said = computer(*words, "-n", ".")[1]
        assert "https://…@127.0.0.1:1/" in said and "secret" not in said
    plan = typed([BIN/"ez", "env", "go", "--dry-run", "https://ada:secret@host/a/b/tree/dev"]).stdout
    assert "--branch dev" in plan and "https://…@host/a/b b" in plan and "secret" not in plan


def test_a_page_of_a_branch(computer, repository):
    "Where one is asked for, it is cloned; an address in a browser is understood, see the chapter."
    work = repository(ez_json=GOOD)
    planned = typed([BIN/"ez", "env", "go", "--dry-run", "https://github.com/a/b/tree/dev"]).stdout
    assert "--branch dev -- https://github.com/a/b b" in planned
    bare = typed([BIN/"ez", "env", "go", "--dry-run", str(work)]).stdout
    assert "would fail: there is no" in bare or "would fail" not in bare # the file itself is sound


def test_the_folder_one_is_in(computer, repository):
    """Taken as it is: not cloned, not brought up to date.

    It is run a second time, on a disk that is full by then.
    """
    work = repository(ez_json=GOOD)
    subprocess.run(["git", "clone", "-q", work, computer.home], check=True)
    assert "the container did not start (stand-in)" in computer(".", "-n", ".")[1]
    assert sorted(path.name for path in computer.home.iterdir()) == [".devcontainer", ".git", "ez.json"]
    full = {"run --rm --network=none --entrypoint=sh": "echo 1500000"}
    read = "echo '{\"configuration\": {\"image\": \"image:1\"}}'"
    assert "GB free" in computer(".", "-n", ".", docker=full, read=read)[1]
    again = computer(".", "-n", ".", docker=full | {"ps -aq": "echo abc"}, read=read)[1]
    assert "stand-in" in again # it was built before


def test_a_dockerfile_may_make_up_for_its_base(computer, repository):
    config = {
        ".devcontainer__devcontainer_json": '{"build": {"dockerfile": "Dockerfile"}}',
        ".devcontainer__Dockerfile": "FROM image:1\nRUN apt-get install python3\n",
    }
    said = "image:1 has no Python (python3); name another base image"
    bare = {"run --rm --network=none --entrypoint=sh": f"echo '{said}' >&2; exit 1"}
    read = "echo '{\"configuration\": {\"build\": {\"dockerfile\": \"Dockerfile\"}}}'"
    assert "stand-in" in computer(repository(**config), "-n", ".", docker=bare, cli=FAILS, read=read)[1]

def test_a_host_that_cannot_be_reached(computer, repository, outcome):
    far = ("-n", "somebody@127.0.0.1")
    unreached = computer("https://127.0.0.1/owner/repository.git", *far)
    outcome("a machine that ssh does not reach", *unreached)
    here = computer(repository(ez_json=GOOD), *far)
    outcome("a folder of this computer, for another machine", *here)


def test_unknown_keys_are_named_and_kept(computer, repository, outcome):
    work = repository(ez_json='{"base_container_image": "image:1", "colour": "blue"}')
    computer(work, "-n", ".")
    result = subprocess.run([BIN/"ez", "env", "go", "--dry-run", str(work)], capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr # a plan asks nothing of anybody
    assert json.loads((computer.home/"course"/"ez.json").read_text())["colour"] == "blue"


def test_the_plan_says_what_is_run(computer, repository):
    work = repository(ez_json=GOOD)
    computer(work, "-n", ".")
    asked = computer.log.read_text().splitlines()
    ran = [line for line in asked if line.startswith("devcontainer up")][0].split()
    command = [BIN/"ez", "env", "go", "--dry-run", str(work)]
    planned = subprocess.run(command, capture_output=True, text=True).stdout
    assert [word for word in ran if word.startswith("--")][0] == "--workspace-folder"
    assert " up --workspace-folder course --gpu-availability none" in planned


def test_help_says_how_the_note_types_it():
    shown = subprocess.run([BIN/"ez", "env", "go", "--help"], capture_output=True, text=True).stdout
    assert "ez env go git@github.com:OWNER/REPO -n ." in shown and "--dry-run" in shown


def test_doctor_speaks_to_people_and_programs(mark1, mark1_here, serve, tmp_path):
    mirror = serve(tmp_path) # which it asks in place of the hosts of the data sets
    told = mark1("doctor", MARK1_MIRROR=mirror)
    assert told.returncode == 0 and "The course runs here." in told.stdout, told.stdout
    assert f"{mirror} answers" in told.stdout
    listed = mark1_here("doctor", "--json", MARK1_MIRROR=mirror)
    found = {each["name"]: each for each in json.loads(listed.stdout)}
    assert listed.returncode == 0
    assert found.keys() == {"Python", "packages", "device", "shared memory", "cores", "memory", "disk",
                            "data cache", "network", "docker", "kernel"}
    assert all(bool(each["remedy"]) == (each["state"] != "well") for each in found.values())
    sick = mark1_here("doctor", "--json", MARK1_MIRROR=mirror, FASTAI_HOME=os.devnull) # the control
    assert sick.returncode == 1 and "set FASTAI_HOME to a folder" in sick.stdout
