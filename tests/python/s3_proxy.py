"""What stands between opiml and an S3 server in the tests: it passes requests on, or does to them what goes
wrong in the world."""
import http.client
import http.server
import socket
import threading
import time


class Proxy:
    """On a port of its own; `instead(handler)` answers a request itself and returns True, or lets it pass.
    Requests are noted as (method, path, headers)."""

    def __init__(self, upstream, address="127.0.0.1", tls=None):
        proxy = self
        self.upstream, self.instead, self.seen = upstream, None, []

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass  # clients go away in the middle, on purpose

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_GET(self):
                proxy.serve(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = Server((address, 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        host = f"[{address}]" if ":" in address else address
        self.endpoint = f"http{'s' if tls else ''}://{host}:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def serve(self, handler):
        self.seen.append((handler.command, handler.path, dict(handler.headers)))
        if not self.instead or not self.instead(handler):
            answer(handler, *self.ask(handler))

    def ask(self, handler):
        """What the server behind says: status, headers, body."""
        path = handler.path
        bucket, dot, _ = handler.headers["Host"].partition(".localhost")
        if dot:
            path = f"/{bucket}{path}"  # named in the host: the servers behind want it in the path
        connection = http.client.HTTPConnection(*self.upstream, timeout=60)
        try:
            connection.putrequest(handler.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                connection.putheader(name, "%s:%d" % self.upstream if dot and name.lower() == "host" else value)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()


def answer(handler, status, headers, body):
    send_head(handler, status, headers, len(body))
    if handler.command != "HEAD":
        handler.wfile.write(body)


def send_head(handler, status, headers, length):
    handler.send_response_only(status)
    for name, value in headers:
        if name.lower() not in ("content-length", "transfer-encoding", "connection"):
            handler.send_header(name, value)
        elif name.lower() == "content-length" and handler.command == "HEAD":
            length = value
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


def refuse(handler, status, code, headers=()):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as tested</Message></Error>".encode()
    answer(handler, status, list(headers), body)
    return True


def drip(handler, status, headers, body, seconds=30):
    """Ten bytes a second."""
    send_head(handler, status, headers, len(body))
    end = time.monotonic() + seconds
    try:
        for i in range(0, len(body), 10):
            if time.monotonic() > end:
                break
            handler.wfile.write(body[i:i + 10])
            handler.wfile.flush()
            time.sleep(1)
    except OSError:
        pass
    handler.close_connection = True
    return True


def cut(handler, status, headers, body):
    """Half of it."""
    send_head(handler, status, headers, len(body))
    handler.wfile.write(body[:len(body) // 2])
    handler.close_connection = True
    return True
