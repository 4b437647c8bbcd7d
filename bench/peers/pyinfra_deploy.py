# The peer of runbook five-steps, for pyinfra: pyinfra INVENTORY pyinfra_deploy.py -y --sudo --data value=X
from io import StringIO

from pyinfra import host
from pyinfra.operations import files, systemd

value = host.data.value
limits = "".join(f"limit{n} = {value}\n" for n in range(200))
files.put(src=StringIO(f"value = {value}\n"), dest="/etc/bench-app.conf", mode="644")
files.put(src=StringIO(limits), dest="/etc/bench-limits.conf", mode="640")
files.put(src=StringIO(f"release={value}\n"), dest="/etc/bench-release", mode="644")
files.directory(path=f"/srv/bench-{value}", mode="750")
systemd.service(service="cron", restarted=True)
