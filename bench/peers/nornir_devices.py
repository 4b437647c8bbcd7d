# A plain script with nornir and netmiko: the same sessions, reads and writes as one run of bench/devices.py.
# python nornir_devices.py KEY KNOWN_HOSTS NUMBER ADDRESS...
import shutil
import sys
import tempfile
from pathlib import Path

from nornir.core import Nornir
from nornir.core.configuration import Config
from nornir.core.inventory import ConnectionOptions, Defaults, Groups, Host, Hosts, Inventory
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.plugins.runners import ThreadedRunner
from nornir_netmiko import netmiko_send_command, netmiko_send_config

key, known, number, *addresses = sys.argv[1:]
lines = [f"ip route 198.{n}.{number}.0/24 blackhole" for n in (18, 19, 51)]
folder = Path(tempfile.mkdtemp())


def show(task):
    said = task.run(netmiko_send_command, command_string="show running-config", read_timeout=60).result
    assert said.rstrip().endswith("end")
    return said


def reads(task, count):
    return [show(task) for _ in range(count)]


def again(task):
    task.host.close_connections()


def change(task):
    # Drift, and a backup that is read twice over two sessions.
    before = reads(task, 4)[-1]
    again(task)
    assert show(task) == before
    (folder / task.host.name).write_text(before)
    # The change.
    reads(task, 6)
    task.run(netmiko_send_config, config_commands=lines, error_pattern=r"^%.*")
    reads(task, 2)
    # Verified in a new session, and saved.
    again(task)
    now = show(task)
    assert all(line in now for line in lines), now
    said = task.run(netmiko_send_command, command_string="write memory", read_timeout=60).result
    assert "[OK]" in said
    # Read back in another.
    again(task)
    reads(task, 2)
    task.host.close_connections()


ConnectionPluginRegister.auto_register()
extras = {"use_keys": True, "key_file": key, "ssh_strict": True, "alt_host_keys": True, "alt_key_file": known}
options = {"netmiko": ConnectionOptions(platform="cisco_ios", extras=extras)}
hosts = Hosts(
    {
        a: Host(name=a, hostname=a, username="admin", platform="cisco_ios", connection_options=options)
        for a in addresses
    }
)
nornir = Nornir(inventory=Inventory(hosts, Groups(), Defaults()), runner=ThreadedRunner(20), config=Config())
result = nornir.run(change)
shutil.rmtree(folder)
if result.failed:
    print(next(r for r in result.values() if r.failed)[0].exception)
    sys.exit(1)
