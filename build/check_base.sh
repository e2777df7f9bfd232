# Say in one sentence why an image cannot carry the course:
# sh check_base.sh IMAGE [OLDEST_PYTHON NEWEST_PYTHON]
image=$1 oldest=${2:-3.11} newest=${3:-3.13}
refuse() { echo "$image $1; name another base image, for instance python:3.11-bookworm" >&2; exit 1; }
reaches() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) ||
    refuse "is not built on glibc, and VS Code and the packages need glibc 2.28"
reaches 2.28 "${glibc#glibc }" || refuse "has $glibc, and VS Code and the packages need 2.28"
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    refuse "has no Python (python3)"
reaches "$oldest" "$python" || refuse "has Python $python, and $oldest is needed"
reaches "$python" "$newest" || refuse "has Python $python, and the packages are made for $newest at most"
