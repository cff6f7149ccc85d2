"""Behind nginx: the settings of docs/guides/servers.md, and what a check tells without them."""

import shutil
import socket
import subprocess
import time
from contextlib import ExitStack

import httpx
import pytest

from children import start_child
from infobip_async import check_receiver
from ports import reserved_port

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        NGINX is None, reason="nginx is not installed (apt-get install nginx-light)"
    ),
]

PATIENCE = 60.0
SECRET = "MARKED-secret.of_the-webhook"
REPORT = b'<DeliveryReport><message id="behind" status="SENT"/></DeliveryReport>'

CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        {settings}
        location /sms/ {{ {location} proxy_pass http://127.0.0.1:{behind}{to}; }}
    }}
}}
"""
GOOD = "client_max_body_size 2m; large_client_header_buffers 4 64k; client_header_timeout 2s;"
QUIET = "access_log off; error_log /dev/null;"


@pytest.fixture
def nginx(tmp_path):
    """Start nginx in front of a server; gives its address, with the prefix."""
    with ExitStack() as stack:

        def run(
            server, *, settings: str = GOOD, location: str = QUIET, to: str = "/infobip/"
        ) -> str:
            port = stack.enter_context(reserved_port())
            folder = tmp_path / "nginx"
            folder.mkdir()
            given = {"port": port, "behind": server.port, "folder": folder}
            text = CONFIGURATION.format(settings=settings, location=location, to=to, **given)
            (folder / "conf").write_text(text)
            process = start_child(
                [NGINX, "-p", folder, "-c", folder / "conf"], stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            wait_for(port)
            return f"http://127.0.0.1:{port}/sms"

        yield run


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


async def problems(url: str) -> list[str]:
    """What stands in the way of each kind of probe."""
    return [result.problem for result in await check_receiver(url, secret=SECRET)]


@pytest.mark.parametrize("name", ["run_receiver", "uvicorn-httptools"])
async def test_the_settings_of_the_guide(start, nginx, name, tmp_path):
    """Everything arrives, below another prefix, and nginx writes nothing down."""
    server = start(name)
    url = nginx(server)

    assert await problems(url) == [""] * 5
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        assert (await http.post(f"{url}/{SECRET}/dlr", content=REPORT)).status_code == 200
    assert server.events() == [["dlr", "behind"]]
    logs = (tmp_path / "nginx" / "access.log", tmp_path / "nginx" / "error.log")
    assert [log.read_text() for log in logs if log.exists()] == ["", ""]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"settings": ""}, ["", "HTTP 413", "", "", "HTTP 414"]),
        (
            {"settings": "client_max_body_size 2m; large_client_header_buffers 4 1k;"},
            [*[""] * 4, "HTTP 414"],
        ),
        ({"to": "/other/"}, ["HTTP 404"] * 5),
        ({"location": "return 403;"}, ["HTTP 403"] * 5),
        ({"location": "return 301 https://x/;"}, ["it is redirected"] * 5),
        (
            {"location": "proxy_pass_request_body off; proxy_set_header Content-Length '';"},
            ["33 octets of body were sent and 0 arrived", "1048577 octets", "304 octets", "", ""],
        ),
        ({"location": "auth_basic x; auth_basic_user_file /dev/null;"}, ["HTTP 401"] * 5),
    ],
)
async def test_what_stands_in_the_way(start, nginx, changed, told):
    """A check names it."""
    found = await problems(nginx(start("uvicorn-httptools"), **changed))

    assert [one[: len(begin)] for one, begin in zip(found, told, strict=True)] == told
    assert [bool(one) for one in found] == [bool(begin) for begin in told]


async def test_the_receiver_is_down(start, nginx):
    """A check tells it from a wrong path."""
    server = start("uvicorn-httptools")
    url = nginx(server)
    server.stop()

    assert [one[:8] for one in await problems(url)] == ["HTTP 502"] * 5


def test_half_heads(start, nginx):
    """What sends no whole head is closed there."""
    url = nginx(start("uvicorn-httptools"))
    port = int(url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as half:
        half.sendall(b"POST /sms/ HTTP/1.1\r\nHost: x\r\n")
        assert half.recv(100) == b""
