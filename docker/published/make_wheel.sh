#!/bin/sh
# Slim the wheel of COMPONENT for the devices in KEEP, repaired if REPAIR is not empty, into /wheel:
# the new wheel and the list of what was kept, taken out and made.
set -eu

wheel=$(find /published -name '*.whl')
if [ -z "$wheel" ]; then
    echo "error: the published wheel of $COMPONENT is not there: smforge build fetches it." >&2
    exit 1
fi

export PATH=/opt/smforge/bin:$PATH PYTHONPATH=/opt/builder PYTHONDONTWRITEBYTECODE=1
export XDG_CACHE_HOME=/var/cache
LD_LIBRARY_PATH=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch/lib
export LD_LIBRARY_PATH

# The host lends a folder for each target, or, where one device is kept, the content of its folder.
cubins=$XDG_CACHE_HOME/smforge/rewrite/cubins
case $KEEP in
    *' '*) place=$cubins ;;
    *) place=$cubins/sm_$(echo "$KEEP" | tr -d .) ;;
esac
mkdir -p "$place" /wheel
(cd /cubins && find . -name '*.cubin' -not -path '*/.making-*' -exec cp -n --parents {} "$place" \;)

python -m smforge slim "$wheel" --keep "$KEEP" ${REPAIR:+--repair} --ptxas "$CUDA_HOME/bin/ptxas" -o /wheel
python - /wheel/*.whl <<'PYTHON'
import sys, zipfile
from pathlib import Path
wheel = zipfile.ZipFile(sys.argv[1])
name = next(one for one in wheel.namelist() if one.endswith(".dist-info/smforge-rewrite.json"))
Path("/wheel/smforge-rewrite.json").write_bytes(wheel.read(name))
PYTHON
