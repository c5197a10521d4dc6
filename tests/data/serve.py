"""Serves a folder on the loopback device for test_dataset.c: prints its port, then logs one line a request to FOLDER/log.

/range/FILE honours Range, /whole/FILE does not know it, /break/FILE sends half of what is asked for and hangs up.
"""
import http.server
import os
import re
import sys

folder = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, mode, name = self.path.split("/", 2)
        asked = self.headers.get("Range")
        with open(os.path.join(folder, "log"), "a") as log:
            log.write(f"{mode} {name} {asked or 'all'}\n")
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        start = 0
        if asked and mode != "whole":
            start = int(re.match(r"bytes=(\d+)-", asked).group(1))
            if start >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        self.wfile.write(body[: len(body) // 2] if mode == "break" else body)
        self.close_connection = True

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
