"""Snowflake's SQL API over DuckDB, for tests: snowflake_server.py PUBLIC_KEY_PEM ACCOUNT USER.

Prints the port and serves until standard input ends. Statements are read by sqlglot in Snowflake's dialect and run by
DuckDB, one at a time. `POST /test` sets what happens to the next requests, as JSON: {"async": n} answers the next n
statements with 202 and each of their first two questions too, {"busy": n} answers n requests with 429 and Retry-After,
{"expired": n} takes no token for n requests. `GET /test` tells what was seen.
"""
import base64
import hashlib
import json
import os
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import duckdb
import sqlglot
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from sqlglot import exp

with open(sys.argv[1], "rb") as file:
    public_key = serialization.load_pem_public_key(file.read())
subject = f"{sys.argv[2].upper()}.{sys.argv[3].upper()}"
der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
issuer = f"{subject}.SHA256:{base64.b64encode(hashlib.sha256(der).digest()).decode()}"
engine = duckdb.connect()
engine.execute("SET TimeZone = 'UTC'")
engine.execute("CREATE MACRO random_word() AS (hash(uuid()) // 2)::BIGINT")
wanted = {"async": 0, "busy": 0, "expired": 0}
seen = {"statements": 0, "polls": 0, "retries": 0, "repeated": 0, "tokens": set(), "agents": set(), "cancelled": 0}
running = {}
turn = threading.Lock()
answers_by_request = {}


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def token_fault(headers):
    """Why a token is not taken, None when it is."""
    if headers.get("X-Snowflake-Authorization-Token-Type") != "KEYPAIR_JWT":
        return "no token type"
    token = headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        head, body, signature = token.split(".")
        public_key.verify(decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(decoded(body))
        if json.loads(decoded(head))["alg"] != "RS256":
            return "algorithm"
    except Exception as error:
        return f"signature {error!r}"
    seen["tokens"].add(token)
    if claims["iss"] != issuer or claims["sub"] != subject or claims["exp"] - claims["iat"] > 3600:
        return f"claims {claims}"
    return None


def rewritten(node):
    """What sqlglot's writer for DuckDB does not know: cells of a flattened array, exact times, random numbers."""
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Bracket):
        text = sqlglot.parse_one(f"json_extract_string(f.value, '$[{place(node.this)}]')", read="duckdb")
        return text if node.to.is_type("text") else exp.cast(text, node.to.copy())
    if isinstance(node, exp.UnixToTime):
        value = node.this.transform(rewritten).sql(dialect="duckdb")
        # The largest number is a time to Snowflake, whose years go up to 9999; DuckDB keeps it for infinity.
        return sqlglot.parse_one(f"make_timestamp_ns(least(CAST({value} AS BIGINT), {2**63 - 2}))", read="duckdb")
    if isinstance(node, exp.Bracket):
        return sqlglot.parse_one(f"CAST(json_extract(f.value, '$[{place(node)}]') AS VARIANT)", read="duckdb")
    return node


def place(bracket):
    return bracket.expressions[0].sql()


FLATTEN = "TABLE(FLATTEN(INPUT => PARSE_JSON(?, 'd'))) AS f"


def run(statement, bindings):
    sql = statement.replace(FLATTEN, "flattened AS f").replace("f.index", "f.key").replace("random()", "random_word()")
    tree = sqlglot.parse_one(sql, read="snowflake").transform(rewritten)
    sql = tree.sql(dialect="duckdb").replace("flattened AS f", "json_each(CAST(? AS JSON)) AS f")
    values = [bindings[str(index + 1)]["value"] for index in range(len(bindings))]
    rows = engine.execute(sql, values).fetchall()
    return [[None if cell is None else str(cell) for cell in row] for row in rows]


def failure(error):
    """Status and body for what the engine refused."""
    if isinstance(error, duckdb.CatalogException):
        code, state = "002003", "42S02"
    elif isinstance(error, (duckdb.ConstraintException, duckdb.ConversionException, duckdb.InvalidInputException)):
        code, state = "100072", "22000"
    else:
        code, state = "001003", "42000"
    body = {"code": code, "sqlState": state, "message": str(error), "statementHandle": str(uuid.uuid4())}
    return 422, body


def result(statement, bindings):
    try:
        with turn:
            rows = run(statement, bindings)
    except Exception as error:
        return failure(error)
    return 200, {"code": "090001", "sqlState": "00000", "message": "Statement executed successfully.",
                 "statementHandle": str(uuid.uuid4()), "data": rows,
                 "resultSetMetaData": {"numRows": len(rows), "format": "jsonv2", "partitionInfo": []}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, *headers):
        data = json.dumps(body, default=sorted).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def is_stopped(self):
        """Answers what stands before the statement itself."""
        seen["agents"].add(self.headers.get("User-Agent", ""))
        fault = token_fault(self.headers)
        if wanted["expired"] > 0 and not fault:
            wanted["expired"] -= 1
            fault = "expired"
        if fault:
            self.answer(401, {"code": "390144", "message": f"JWT token is invalid. [{fault}]"})
        elif wanted["busy"] > 0:
            wanted["busy"] -= 1
            self.answer(429, {"code": "391908", "message": "Too many requests."}, ("Retry-After", "1"))
        else:
            return False
        return True

    def pending(self, handle):
        self.answer(202, {"code": "333334", "message": "Asynchronous execution in progress.",
                          "statementHandle": handle, "statementStatusUrl": f"/api/v2/statements/{handle}"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        if url.path == "/test":
            wanted.update(json.loads(body))
            return self.answer(200, {})
        if url.path.endswith("/cancel"):
            seen["cancelled"] += 1
            return self.answer(200, {"code": "000604", "message": "cancelled"})
        if url.path != "/api/v2/statements":
            return self.answer(404, {})
        if self.is_stopped():
            return None
        query = parse_qs(url.query)
        request = query["requestId"][0]
        uuid.UUID(request)
        seen["statements"] += 1
        if "retry" in query:
            seen["retries"] += 1
            if request in answers_by_request:
                seen["repeated"] += 1
                return self.answer(*answers_by_request[request])
        body = json.loads(body)
        outcome = result(body["statement"], body.get("bindings", {}))
        answers_by_request[request] = outcome
        if wanted["async"] > 0:
            wanted["async"] -= 1
            handle = str(uuid.uuid4())
            running[handle] = [2, outcome]
            return self.pending(handle)
        return self.answer(*outcome)

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/test":
            return self.answer(200, {key: len(value) if isinstance(value, set) and key == "tokens" else value
                                     for key, value in seen.items()})
        if self.is_stopped():
            return None
        handle = path.rsplit("/", 1)[1]
        seen["polls"] += 1
        if handle not in running:
            return self.answer(404, {"code": "390404", "message": "no such statement"})
        running[handle][0] -= 1
        if running[handle][0] >= 0:
            return self.pending(handle)
        return self.answer(*running[handle][1])

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
