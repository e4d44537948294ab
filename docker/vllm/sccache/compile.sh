#!/bin/sh
# Compile as ../compile.sh does, with sccache and the S3 bucket of the secret `sccache`.
set -eu

# A socket: its port would be the host's own where steps have the host's network.
export SCCACHE_SERVER_UDS=/tmp/sccache.sock SCCACHE_IDLE_TIMEOUT=0

# Only the server is told the credentials; vLLM's own build has no part in them.
(
    while IFS= read -r setting || [ -n "$setting" ]; do
        case $setting in AWS_*=* | SCCACHE_*=*) export "$setting" ;; esac
    done </run/secrets/sccache
    : "${SCCACHE_BUCKET:?is missing: the secret sccache names no bucket}"
    exec with-site-settings /opt/sccache/bin/sccache --start-server
)

# The figures of ccache that this prints are zero: vLLM takes sccache where it finds both.
sh /opt/tools/compile.sh
sccache --show-stats
sccache --stop-server >/dev/null
