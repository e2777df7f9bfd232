"""`ez env go` on a real engine: build, start, a notebook cell inside, a second run, the way over SSH.

Docker's engine is used where one answers; where none does and Debian's is installed (`.ci/engine` does that),
one is started for these tests. Without either they skip and say why.

About: containers, environment.
Takes long: begins first.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from conftest import BIN, PATIENCE, ROOT, copy_tracked, interruptible, wait_for

BASE = "mark1-test-base"
CACHE = Path("/var/tmp/mark1-test")
CA = Path("/etc/ssl/certs/ca-certificates.crt")


def run(*words, check=True, timeout=900, **kwargs):
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **kwargs)
    assert not check or done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def answers():
    return shutil.which("docker") and run("docker", "info", check=False).returncode == 0


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    "Have Docker's engine, with an image to build on; one of our own is ended afterwards."
    folder = own = None
    changed = pytest.MonkeyPatch()
    changed.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp"))) # where the Dev Containers CLI keeps things
    if not shutil.which("npx") and not shutil.which("devcontainer"):
        pytest.skip("no npx for the Dev Containers CLI; install Node.js 20 (.ci/engine says how)")
    if not answers():
        if not shutil.which("dockerd") or os.geteuid():
            pytest.skip("no engine answers, and there is no dockerd that could be started as root; "
                        ".ci/engine installs it on Debian")
        folder = Path(tempfile.mkdtemp(prefix="mark1-", dir="/var/tmp"))
        changed.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
        with open(folder/"log", "w") as log:
            command = [
                "dockerd",
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                "-H", os.environ["DOCKER_HOST"],
                "-p", folder/"pid",
                "--iptables=false",
                "--bridge=none",
            ]
            own = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: own.poll() is not None or answers())
    try:
        if not answers():
            last = (folder/"log").read_text().strip().splitlines()[-1]
            pytest.skip(f"the engine does not start here: {last}")
        if run("docker", "image", "inspect", BASE, check=False).returncode: make_base()
        yield
    finally:
        if own:
            containers = run("docker", "ps", "-aq", check=False).stdout.split()
            run("docker", "rm", "-f", *containers, check=False) # side by side
            own.terminate()
            own.wait(PATIENCE)
            run("umount", folder/"exec"/"netns"/"default", check=False) # the engine leaves it
            shutil.rmtree(folder, ignore_errors=True)
        changed.undo()


def make_base():
    """Make an image with Debian, Python and git, or fetch it.

    It is made by debootstrap, which needs no registry of images.
    """
    if shutil.which("debootstrap") and not os.geteuid():
        archive = CACHE/"bookworm.tar"
        if not archive.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            # a folder of our own, as others may be making one as well
            with tempfile.TemporaryDirectory(dir=CACHE) as root:
                packages = "--include=python3-venv,make,git,ca-certificates"
                run("debootstrap", "--variant=minbase", packages, "bookworm", f"{root}/root")
                run("tar", "-C", f"{root}/root", "-cf", f"{root}/new.tar", ".")
                os.replace(f"{root}/new.tar", archive)
        run("docker", "import", archive, BASE)
    elif run("docker", "pull", "python:3.11-bookworm", check=False).returncode == 0:
        run("docker", "tag", "python:3.11-bookworm", BASE)
    else:
        pytest.skip("there is no image to build on: neither debootstrap as root, nor a registry that answers")


def small_lock(*names):
    "Give the lines of the lock for some packages and what they require under Debian's Python 3.11."
    debian = {"python_version": "3.11", "python_full_version": "3.11.2"} # whatever runs the tests
    wanted = set()
    waiting = [(name, "") for name in names] # with an extra
    normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
    while waiting:
        name, extra = waiting.pop()
        if (normal(name), extra) in wanted: continue
        wanted.add((normal(name), extra))
        try: needs = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError: continue # for another system
        holds = lambda marker: marker is None or marker.evaluate({"extra": extra} | debian)
        needs = [need for need in needs if holds(need.marker)]
        waiting += [(need.name, each) for need in needs for each in ("", *need.extras)]
    entries = re.split(r"\n(?=\S)", (ROOT/"build"/"requirements.txt").read_text().strip())
    chosen = {name for name, _ in wanted}
    return "\n".join(entry for entry in entries if normal(entry.split("==")[0]) in chosen) + "\n"


def bare(folder, work):
    "Make a bare repository that holds what lies in `work`, to be cloned by its path."
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q", "-b", "main"), ("add", "-A", "-f"), (*author, "commit", "-qm", "all")):
        run("git", *words, cwd=work)
    run("git", "clone", "-q", "--bare", work, folder)
    return folder


def for_this_network(work, small=True):
    """Change a copy of the repository so that it builds here.

    It gets the imported base, the host's network and certificates, and few packages.
    """
    for path in work.glob(".devcontainer/**/devcontainer.json"):
        config = json.loads(path.read_text())
        config["build"] |= {"args": {"BASE_IMAGE": BASE}, "options": ["--network=host"]}
        others = [word for word in config["runArgs"] if not word.startswith("--publish")]
        config["runArgs"] = ["--network=host", *others]
        if small: config["updateContentCommand"] = "make setup" # `make learn` needs what is left out
        path.write_text(json.dumps(config))
    if CA.exists():
        shutil.copy(CA, work/"build"/"ca.crt")
        dockerfile = work/"build"/"Dockerfile"
        trusted = f"USER root\nCOPY ca.crt {CA}\nENV SSL_CERT_FILE={CA} PIP_CERT={CA}\n"
        dockerfile.write_text(dockerfile.read_text().replace("USER root\n", trusted))
    if small:
        lock = small_lock("uv", "setuptools", "pip", "ipykernel", "nbclient", "jupyterlab")
        (work/"build"/"requirements.txt").write_text(lock)


@pytest.fixture(scope="module")
def course(engine, tmp_path_factory):
    "Make a bare repository with a copy of the course that builds here."
    home = tmp_path_factory.mktemp("course")
    copy_tracked(home/"work")
    for_this_network(home/"work")
    return bare(home/"course.git", home/"work")


def ez(*words, cwd, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run(
        [BIN/"ez", "env", "go", *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        umask=0, # the tests run as root, and the container's user writes into the clone
    )


def all_files(folder):
    "Read every file of a clone outside of .git, with its content and its time."
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and ".git" not in path.parts]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "Make a folder to clone into, which the user of the containers may write to."
    folder = Path(tempfile.mkdtemp(prefix="mark1-place-", dir="/var/tmp"))
    folder.chmod(0o777)
    yield folder
    of_ours = [f"--filter=label=devcontainer.local_folder={clone}" for clone in folder.iterdir()]
    for each in of_ours:
        containers = run("docker", "ps", "-aq", each).stdout.split()
        run("docker", "rm", "-f", *containers, check=False)
    shutil.rmtree(folder, ignore_errors=True)


CELL = """import nbformat, nbclient
code = "import sys, mark1, getpass; print(sys.prefix, getpass.getuser(), mark1.__version__)"
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
nbclient.NotebookClient(notebook, kernel_name="python3").execute()
print(notebook.cells[0].outputs[0].text)"""


def container_of(folder):
    found = run("docker", "ps", "-q", "--filter", f"label=devcontainer.local_folder={folder}").stdout.split()
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def running(course, place):
    "Type `ez env go` on the bare repository, the first time."
    begun = time.monotonic()
    result = ez("-g", course, "-n", ".", cwd=place, PATH=without_code())
    assert result.returncode == 0, result.stdout + result.stderr
    return result, place/"course", time.monotonic() - begun


def without_code():
    "Give the search path, less any folder with VS Code's command: no window is to open."
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not (Path(folder)/"code").exists())


def in_container(folder, *words, timeout=900):
    "Run a command in the container of a clone, as its user and in its workspace; what it said comes back."
    workspace = f"/workspaces/{folder.name}"
    as_user = ["docker", "exec", "--user", "ezuser", "--workdir", workspace, container_of(folder)]
    return run(*as_user, *words, timeout=timeout).stdout


def test_a_cell_runs_inside(running):
    result, folder, seconds = running
    shown = in_container(folder, "python", "-c", CELL)
    assert shown.split()[:2] == ["/opt/mark1", "ezuser"], shown
    print(f"first run {seconds:.0f} s; the cell printed {shown.strip()}")


def test_jupyterlab_answers_on_the_loopback_address_and_wants_its_token(running):
    result, folder, _ = running
    shown = re.search(r"JupyterLab: (http://127\.0\.0\.1:\d+)/lab\?token=(\w{20,})", result.stdout)
    address, token = shown.groups()
    assert urllib.request.urlopen(f"{address}/api/contents?token={token}", timeout=PATIENCE).status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/api/contents", timeout=PATIENCE)
    assert refused.value.code == 403
    tables = "cat /proc/net/tcp /proc/net/tcp6"
    listening = run("docker", "exec", container_of(folder), "sh", "-c", tables).stdout
    port = f"{int(address.rpartition(':')[2]):04X}"
    rows = [line.split() for line in listening.splitlines()]
    open_at = {row[1] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A"}
    assert open_at == {f"0100007F:{port}"} # 127.0.0.1 and nothing else, on the host's network


def test_a_second_run_builds_nothing_and_changes_no_file(running, course, place):
    first, folder, seconds = running
    inspect = ("docker", "inspect", "--format={{.Id}} {{.State.StartedAt}}")
    state = lambda: (run(*inspect, container_of(folder)).stdout, all_files(folder))
    before = state()
    begun = time.monotonic()
    again = ez(course, "-n", ".", cwd=place, PATH=without_code())
    assert again.returncode == 0, again.stderr
    print(f"first run {seconds:.0f} s, second {time.monotonic() - begun:.0f} s")
    assert state() == before # the container was neither made anew nor started again
    assert re.search("token=.*", again.stdout)[0] == re.search("token=.*", first.stdout)[0] # the same server


def test_nothing_of_the_user_is_handed_in(running):
    mounts = json.loads(run("docker", "inspect", container_of(running[1])).stdout)[0]["Mounts"]
    assert {mount["Destination"] for mount in mounts} == {"/workspaces/course", "/data"}


def test_a_repository_with_ez_json_alone(engine, place, tmp_path):
    work = tmp_path/"work"
    work.mkdir()
    (work/"ez.json").write_text(json.dumps({
        "requires_gpu": "true",
        "base_container_image": BASE,
        "run_args": "--network=host",
        "colour": "blue",
    }))
    result = ez(bare(tmp_path/"other.git", work), cwd=place, PATH=without_code())
    assert result.returncode == 0, result.stdout + result.stderr
    assert "nothing is known of 'colour'" in result.stdout
    assert "has none to use: going on without" in result.stdout
    folder = place/"other"
    config = json.loads((folder/".devcontainer"/"devcontainer.json").read_text())
    assert config["image"] == BASE and "--gpus=all" not in config["runArgs"]
    inside = run("docker", "exec", container_of(folder), "cat", "/workspaces/other/ez.json").stdout
    assert inside == (work/"ez.json").read_text()
    before = all_files(folder)
    assert ez(tmp_path/"other.git", cwd=place, PATH=without_code()).returncode == 0
    assert all_files(folder) == before


@pytest.mark.slow
def test_the_gpu_container_is_refused_where_there_is_no_card(running, course, place):
    result = ez(course, "--config", "gpu", cwd=place, PATH=without_code())
    assert result.returncode == 2
    assert "demands a graphics card, and Docker on this computer has none to use" in result.stderr


def test_an_old_base_is_refused_before_it_is_built_on(engine, tmp_path):
    (tmp_path/"Dockerfile").write_text(f"FROM {BASE}\nRUN rm -f /usr/bin/python3*\n")
    run("docker", "build", "-q", "-t", "mark1-test-old", tmp_path)
    work = tmp_path/"work"
    work.mkdir()
    (work/"ez.json").write_text('{"base_container_image": "mark1-test-old"}')
    result = ez(bare(tmp_path/"old.git", work), cwd=tmp_path, PATH=without_code())
    said = "mark1-test-old has no Python (python3); name another base image"
    assert result.returncode == 2 and said in result.stderr
    base = "BASE_IMAGE=mark1-test-old"
    build = run("docker", "build", "-q", "--network=host", "--build-arg", base, ROOT/"build", check=False)
    assert build.returncode and said in build.stdout + build.stderr


@pytest.fixture
def far(tmp_path):
    """Start an sshd on the loopback address, with keys of its own.

    The search path on which `ssh` knows it as `far` comes back.
    """
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists() or os.geteuid():
        pytest.skip("no sshd that could be started as root; .ci/engine installs it on Debian")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path/name)
    shutil.copy(tmp_path/"user.pub", tmp_path/"authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path/"home"
    home.mkdir()
    docker = os.environ.get("DOCKER_HOST", "")
    (tmp_path/"sshd_config").write_text(
        f"Port {port}\n"
        "ListenAddress 127.0.0.1\n"
        f"HostKey {tmp_path}/host\n"
        f"AuthorizedKeysFile {tmp_path}/authorized\n"
        "StrictModes no\n"
        "PasswordAuthentication no\n"
        "PidFile none\n"
        f"SetEnv DOCKER_HOST={docker} PATH={without_code()}\n"
    )
    (tmp_path/"known").write_text(f"[127.0.0.1]:{port} {(tmp_path/'host.pub').read_text()}")
    (tmp_path/"config").write_text(
        "Host far\n"
        " HostName 127.0.0.1\n"
        f" Port {port}\n"
        " User root\n"
        f" IdentityFile {tmp_path}/user\n"
        f" UserKnownHostsFile {tmp_path}/known\n"
    )
    (tmp_path/"bin").mkdir()
    (tmp_path/"bin"/"ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/config "$@"\n')
    (tmp_path/"bin"/"ssh").chmod(0o755)
    server = subprocess.Popen([program, "-D", "-e", "-f", tmp_path/"sshd_config"], stderr=subprocess.DEVNULL)
    def listens():
        assert server.poll() is None, "sshd does not start"
        with socket.socket() as knock: return knock.connect_ex(("127.0.0.1", port)) == 0
    wait_for(listens)
    yield f"{tmp_path/'bin'}{os.pathsep}{without_code()}"
    server.terminate()
    server.wait(PATIENCE)


@pytest.mark.slow
def test_on_another_machine_over_ssh(course, running, far, place, tmp_path):
    target = place/"over-there"
    words = [f"file://{course}", "-n", "far", "--into", target]
    options = {"cwd": tmp_path, "PATH": far, "DOCKER_HOST": "unix:///nowhere"} # its own engine, not ours
    result = ez(*words, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "first let it through: ssh -N -L" in result.stdout and not (tmp_path/"course").exists()
    shown = in_container(target, "python", "-c", CELL)
    assert shown.split()[:2] == ["/opt/mark1", "ezuser"]
    before = all_files(target)
    again = ez(*words, **options)
    assert again.returncode == 0 and all_files(target) == before


@pytest.mark.slow
def test_ctrl_c_during_the_build(engine, outcome, tmp_path):
    work = tmp_path/"work"
    (work/".devcontainer").mkdir(parents=True)
    (work/".devcontainer"/"Dockerfile").write_text(f"FROM {BASE}\nRUN echo begun && sleep 3600\n")
    container = '{"build": {"dockerfile": "Dockerfile", "options": ["--network=host"]}}'
    (work/".devcontainer"/"devcontainer.json").write_text(container)
    (work/"mine.txt").write_text("mine")
    repository = bare(tmp_path/"slow.git", work)
    process = subprocess.Popen(
        [BIN/"ez", "env", "go", repository],
        cwd=tmp_path,
        env={**os.environ, "PATH": without_code()},
        text=True,
        stdout=subprocess.PIPE,
        stderr=open(tmp_path/"progress", "w"),
        start_new_session=True,
        preexec_fn=interruptible,
    )
    wait_for(lambda: "sleep 3600" in (tmp_path/"progress").read_text())
    before = all_files(tmp_path/"slow")
    os.killpg(process.pid, signal.SIGINT) # as a terminal does
    process.wait(PATIENCE)
    said = (tmp_path/"progress").read_text()
    assert "Traceback" not in said, said[-2000:]
    outcome("Ctrl-C during a build", process.returncode, re.search("^ez: (.*)", said, re.MULTILINE)[1])
    assert all_files(tmp_path/"slow") == before and (tmp_path/"slow"/"mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_the_whole_course_in_the_container(engine, place, tmp_path):
    "Every package of the lock, installed by the Dockerfile as it stands, and chapter 01."
    copy_tracked(tmp_path/"work")
    for_this_network(tmp_path/"work", small=False)
    begun = time.monotonic()
    result = ez(bare(tmp_path/"whole.git", tmp_path/"work"), "-n", ".", cwd=place, PATH=without_code())
    assert result.returncode == 0, result.stdout + result.stderr
    chapter = in_container(place/"whole", "make", "run", "CHAPTERS=01", timeout=1800)
    doctor = in_container(place/"whole", "mark1", "doctor", timeout=1800)
    seconds = time.monotonic() - begun
    print(f"the whole course, built and started in {seconds:.0f} s", chapter, doctor, sep="\n")
    assert "01_first_model" in chapter and "Data: packaged" in chapter
    assert "The course runs here." in doctor and "1.1 GB" in doctor # of shared memory
