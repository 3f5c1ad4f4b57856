"""ClickHouse's HTTP interface over the engine of the package chdb-core, for tests: clickhouse_server.py FOLDER.

Prints the port and serves until standard input ends. One statement at a time. An INSERT reads its data from a file,
since the engine takes no body, and decompresses it; settings in the URL are put into the statement.
"""
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from chdb import session

folder = sys.argv[1]
engine = session.Session(os.path.join(folder, "data"))
turn = threading.Lock()
statuses = {60: 404, 81: 404, 6: 400, 27: 400, 33: 400, 62: 400, 117: 400}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        coding = self.headers.get("Content-Encoding", "none")
        values = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
        sql = values.pop("query")
        settings = ", ".join(f"{key} = '{value}'" for key, value in values.items())
        insert = re.fullmatch(r"(INSERT INTO .*) FORMAT (\w+)", sql, re.S)
        with turn:
            status, answer = self.run(sql, insert, settings, body, coding)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def run(self, sql, insert, settings, body, coding):
        if insert:
            name = os.path.join(folder, "body")
            with open(name, "wb") as file:
                file.write(body)
            sql = f"{insert[1]} FROM INFILE '{name}' COMPRESSION '{coding}' "
            sql += f"SETTINGS {settings} " if settings else ""
            sql += f"FORMAT {insert[2]}"
        try:
            return 200, engine.query(sql, "TabSeparated").bytes() or b""
        except Exception as error:
            code = re.search(r"Code: (\d+)", str(error))
            return statuses.get(int(code[1]) if code else 0, 500), str(error).encode()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
