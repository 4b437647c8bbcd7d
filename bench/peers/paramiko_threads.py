# The floor: five commands per host over one connection each, in threads; no checks, no diff, no record.
# python paramiko_threads.py KEY KNOWN_HOSTS VALUE ADDRESS...
import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko

key, known, value, *addresses = sys.argv[1:]
limits = "".join(f"limit{n} = {value}\n" for n in range(200))


def run(client, command, text=""):
    channel = client.get_transport().open_session()
    channel.exec_command(command)
    channel.sendall(text.encode())
    channel.shutdown_write()
    if channel.recv_exit_status():
        raise SystemExit(f"{command} failed")


def put(client, path, mode, text):
    run(client, f"sudo sh -c 'cat > {path}.new && chmod {mode} {path}.new && mv {path}.new {path}'", text)


def change(address):
    with paramiko.SSHClient() as client:
        client.load_host_keys(known)
        client.connect(address, username="ops", key_filename=key, look_for_keys=False, allow_agent=False)
        put(client, "/etc/bench-app.conf", "644", f"value = {value}\n")
        put(client, "/etc/bench-limits.conf", "640", limits)
        put(client, "/etc/bench-release", "644", f"release={value}\n")
        run(client, f"sudo install -d -m 0750 /srv/bench-{value}")
        run(client, "sudo systemctl restart cron")


with ThreadPoolExecutor(64) as pool:
    list(pool.map(change, addresses))
