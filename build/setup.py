"""Make .venv and install the locked packages into it: `make` calls this; on Windows type `py build/setup.py`.

Needs Python 3.11 to 3.13, nothing else. Running it again repairs a set-up that was interrupted.
MARK1_PACKAGES says how much of the lock is installed, and is remembered: `cpu` leaves out what only a
graphics card needs, `site` takes what `make site` needs.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# dev containers keep theirs outside of the workspace
VENV = Path(os.environ.get("MARK1_VENV") or ROOT / ".venv")
LOCK = ROOT / "build" / "requirements.txt"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
READY = VENV / ".mark1-ready" # says which packages are there
PACKAGES = os.environ.get("MARK1_PACKAGES") or (READY.exists() and READY.read_text()) or "all"
CUDA = sys.platform == "linux" # there the wheels of torch bring it along
COSTS = { # gigabytes to download and of disk, measured on Linux; elsewhere torch is smaller
    "all": (3.4, 6.8),
    "cpu": (2.8, 5.3),
    "site": (0.1, 0.4),
}
# Torch imports and trains without these; to the rest of CUDA, 2.9 GB of disk, it is linked.
# Without triton there is no torch.compile, which the course does not use.
CUDA_ALONE = {
    "cuda-bindings",
    "nvidia-cuda-cccl",
    "nvidia-cusolver",
    "nvidia-nvjitlink",
    "nvidia-nvtx",
    "triton",
}
SITE = ( # and what these need
    "execnb",
    "hugo",
    "lxml",
    "markdown-it-py",
    "numpy",
    "pagefind-bin",
    "pandas",
    "pillow",
    "pygments",
    "pyyaml",
    "scipy",
    "setuptools",
)
KERNELS = """\
# Written by build/setup.py. A kernel of JupyterLab or VS Code gets what `mark1 run` gives its kernels.
import os
import warnings

try:
    from mark1.workshop.kernels import figure_config, kernel_environment
except ImportError:  # the packages alone are installed
    pass
else:
    get_config().merge(figure_config())
    os.environ.update(kernel_environment())
    warnings.simplefilter("ignore", FutureWarning)  # PYTHONWARNINGS is read before this
"""


def stop(sentence):
    sys.exit("mark1: " + sentence)


def run(command, remedy, **kwargs):
    try:
        subprocess.run([str(word) for word in command], check=True, **kwargs)
    except (OSError, subprocess.CalledProcessError):
        stop(remedy)


def check_machine():
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        name_it = "py -3.11 build/setup.py" if os.name == "nt" else "make PYTHON=python3.11"
        stop("Python 3.11, 3.12 or 3.13 is needed, this is %d.%d; install one and name it: %s"
             % (*sys.version_info[:2], name_it))
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("this Python cannot make virtual environments; on Debian and Ubuntu: "
             "sudo apt install python%d.%d-venv" % sys.version_info[:2])
    if PACKAGES not in COSTS:
        stop("MARK1_PACKAGES is %r; set it to 'all', to 'cpu' (less, where there is no graphics card) "
             "or to 'site' (what `make site` needs)" % PACKAGES)
    free = shutil.disk_usage(ROOT).free / 1e9
    needed = COSTS[PACKAGES][1] + 1 if CUDA or PACKAGES == "site" else 3
    if free < needed and not VENV.exists():
        stop("%.1f GB of disk are free in %s, %.0f GB are needed; make room or clone elsewhere"
             % (free, ROOT, needed))


def locked(keep):
    """Give the lines of the lock that pin the packages whose names `keep` accepts, with their hashes."""
    entries = re.split(r"\n(?=\S)", LOCK.read_text().strip())
    return "\n".join(entry for entry in entries if keep(entry.partition("==")[0])) + "\n"


def announce():
    """Say what is about to be downloaded, and how to get less."""
    amount = "%.1f GB to download the first time, %.1f GB of disk" % COSTS[PACKAGES]
    if not CUDA: amount = "less than on Linux, where it is " + amount
    print("mark1: installing the locked packages (%s): %s" % (PACKAGES, amount), flush=True)
    if PACKAGES == "all" and CUDA:
        print("mark1: without a graphics card, MARK1_PACKAGES=cpu is enough: %.1f and %.1f GB" % COSTS["cpu"],
              flush=True)


def write_settings(venv):
    """Write what JupyterLab and the kernels of an environment read when they start."""
    settings = venv / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    # JupyterLab neither asks about news nor looks for updates
    (settings / "overrides.json").write_text(json.dumps(
        {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}))
    kernels = venv / "etc" / "ipython"
    kernels.mkdir(parents=True, exist_ok=True)
    (kernels / "ipython_kernel_config.py").write_text(KERNELS)


def main():
    check_machine()
    start = time.time()
    network = ("the packages could not be fetched or installed (the lines above say which and why); "
               "set-up needs the network once: check it, and run the same command again")
    pip = [str(PYTHON), "-m", "pip", "--version"]
    if not PYTHON.exists() or subprocess.run(pip, capture_output=True).returncode:
        print("mark1: making %s" % VENV.name, flush=True)
        run([sys.executable, "-m", "venv", "--clear", VENV],
            "could not make %s; is the folder writable?" % VENV)
    quiet = [] if sys.stdout.isatty() else ["-q"]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "uv.txt"
        wanted.write_text(locked("uv".__eq__))
        run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
             "--require-hashes", "-r", wanted], network)
    uv = [SCRIPTS / "uv", "pip", "install", "--python", PYTHON] + quiet
    announce()
    environment = dict(os.environ, UV_HTTP_TIMEOUT="300")
    if PACKAGES == "site":
        run(uv + ["--constraint", LOCK, *SITE], network, env=environment)
    else:
        with tempfile.TemporaryDirectory() as folder:
            wanted = Path(folder) / "lock.txt"
            wanted.write_text(locked(lambda name: PACKAGES == "all" or name not in CUDA_ALONE))
            # the lock holds all that is wanted, and leaves out a package that another would bring along
            run(uv + ["--no-deps", "--require-hashes", "-r", wanted], network, env=environment)
    whole = (ROOT / "pyproject.toml").exists()  # not while an image is built: there are only the packages
    if whole:
        run(uv + ["--no-deps", "--no-build-isolation", "--offline", "-e", ROOT],
            "mark1 itself could not be installed; the lines above say why")
    # once, here: else every start of Python compiles fastai anew where PYTHONDONTWRITEBYTECODE is set
    print("mark1: compiling them", flush=True)
    # its exit code is not looked at, as test data may not compile
    subprocess.run([str(PYTHON), "-m", "compileall", "-q", "-q", "-j", "0", str(VENV)])
    write_settings(VENV)
    if whole:
        READY.write_text(PACKAGES)
    print("mark1: ready after %.0f s" % (time.time() - start), flush=True)


if __name__ == "__main__":
    main()
