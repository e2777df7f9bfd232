#!/bin/sh
# Puts a VS Code that a browser shows (code-server) into _run/tools/vscode, for tests/test_vscode.py.
# `make editors` calls it. It has no kernels, as the extension for those is in no package registry.
# The packages' own scripts would fetch binaries from elsewhere, so they do not run: one module is compiled
# here, argon2 is a version that brings its binary along, and ripgrep comes from the system.
set -eu
tools="$(cd "$(dirname "$0")/.." && pwd)/_run/tools/vscode"
[ -e "$tools/ready" ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends build-essential pkg-config ripgrep >/dev/null
fi
for needed in npm rg c++; do
    command -v $needed >/dev/null && continue
    echo "mark1: there is no $needed, which VS Code is installed with; install it and call this again"
    exit 1
done
echo "mark1: installing VS Code (some minutes)"
export npm_config_nodedir="$(dirname "$(dirname "$(command -v node)")")" # where its headers are
export npm_config_audit=false npm_config_fund=false
mkdir -p "$tools" && cd "$tools"
overrides='{"argon2": "0.44.0"}'
echo '{"private": true, "dependencies": {"code-server": "4.100.3"}, "overrides": '"$overrides}" > package.json
npm install --silent --ignore-scripts --no-package-lock
cd node_modules/code-server/lib/vscode
npm install --silent --ignore-scripts --omit=dev
npm rebuild --silent @vscode/spdlog
mkdir -p node_modules/@vscode/ripgrep/bin
ln -sf "$(command -v rg)" node_modules/@vscode/ripgrep/bin/rg
ln -sfn node_modules node_modules.asar
(cd extensions && npm install --silent --ignore-scripts --omit=dev)
touch "$tools/ready"
