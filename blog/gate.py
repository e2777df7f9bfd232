"""Let through to Hugo only who asks for this computer by a name of its own.

A page of another site can have its own name lead to this computer, and its scripts could then read what is
served here, drafts too. The browser still sends that name along, so it is refused. Hugo does not look at it.
"""
import re
import secrets
import socket
import sys
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

NAMES = {"localhost", "127.0.0.1", "[::1]"}
HEAD = 2**16 # bytes that the lines before a page may have
REFUSED = "mark1: this site is shown at http://localhost only; open it there\n"


def own_address() -> str:
    "Choose a loopback address for Hugo: on Linux one of 16 million, which no page can guess."
    if sys.platform != "linux": return "127.0.0.1"
    return f"127.{secrets.randbelow(255)}.{secrets.randbelow(255)}.{2 + secrets.randbelow(250)}"


def is_our_name(
    head:bytes, # the lines of a request before its body
) -> bool:
    "Say whether a request asks, once, for a name of the loopback address."
    hosts = re.findall(rb"(?im)^host:[ \t]*(\S+?)(?::\d+)?[ \t]*\r$", head)
    return len(hosts) == 1 and hosts[0].decode("latin-1").lower() in NAMES


def pass_on(
    source:socket.socket,
    target:socket.socket,
):
    "Send on whatever comes, until it ends."
    with suppress(OSError):
        while block := source.recv(2**16): target.sendall(block)
    for each in (source, target):
        with suppress(OSError): each.shutdown(socket.SHUT_RDWR)


class Visit(BaseRequestHandler):
    "One connection of a browser, which keeps it to one name: its first request is looked at."

    def handle(self):
        "Pass a connection on to Hugo, or refuse it."
        head = b""
        with suppress(OSError):
            while b"\r\n\r\n" not in head and len(head) < HEAD:
                if not (block := self.request.recv(2**16)): return
                head += block
        if not is_our_name(head.partition(b"\r\n\r\n")[0] + b"\r\n"):
            said = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(REFUSED)}\r\nConnection: close\r\n\r\n"
            with suppress(OSError): self.request.sendall((said + REFUSED).encode())
            return
        with suppress(OSError), socket.create_connection(self.server.behind) as hugo: # it may not serve yet
            hugo.sendall(head)
            Thread(target=pass_on, args=(hugo, self.request), daemon=True).start()
            pass_on(self.request, hugo)


class Gate(ThreadingTCPServer):
    "Listen for browsers, in threads beside this one."
    allow_reuse_address = sys.platform != "win32" # there it lets two programs have one port
    daemon_threads = True
    behind = None # Hugo's address and port, once they are known

    def __init__(self,
        port:int, # of the loopback address
    ):
        super().__init__(("127.0.0.1", port), Visit)
        Thread(target=self.serve_forever, args=(.1,), daemon=True).start()

    def end(self):
        "Listen no more."
        self.shutdown()
        self.server_close()
