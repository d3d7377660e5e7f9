"""What the corpus is made of: systems, shares, words, and the shapes in real lines that are varied."""

import re

DAY_MS = 86_400_000
LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
LEVEL_WEIGHTS = (1, 12, 74, 8, 4, 1)
SYSTEMS = (  # loghub folder, app name, share among the replayed lines
    ("HDFS", "hdfs-datanode", 14),
    ("Spark", "spark-executor", 11),
    ("Hadoop", "hadoop-mr", 8),
    ("Zookeeper", "zookeeper", 6),
    ("OpenStack", "nova-api", 10),
    ("BGL", "bgl-ras", 7),
    ("HPC", "hpc-mon", 3),
    ("Thunderbird", "thunderbird", 6),
    ("Windows", "win-cbs", 4),
    ("Linux", "linux-syslog", 8),
    ("Mac", "mac-syslog", 3),
    ("Android", "android", 4),
    ("HealthApp", "healthapp", 3),
    ("Apache", "apache-httpd", 5),
    ("OpenSSH", "sshd", 6),
    ("Proxifier", "proxifier", 2),
)
ACCESS_APPS = (("edge-proxy", 30), ("api-gateway", 24), ("web-frontend", 14), ("search-api", 8), ("cdn-origin", 6))
SERVICE_APPS = (
    ("checkout", 9),
    ("payments", 7),
    ("auth", 8),
    ("catalog", 6),
    ("notifier", 4),
    ("inventory", 5),
    ("recommender", 3),
    ("billing", 3),
    ("scheduler", 3),
)
JSON_SHARE = 0.40  # of all lines
ACCESS_SHARE = 0.62  # of the JSON lines
META_SHARE = 0.20  # lines that carry a meta object
RARE_PHRASE = "payment provider timed out after final retry"
RARE_PHRASE_EVERY = 4000  # about one JSON app line in so many
NEEDLES = 40

METHODS = ("GET",) * 14 + ("POST",) * 4 + ("PUT", "DELETE", "PATCH", "HEAD")
STATUS = (
    (200,) * 80 + (201,) * 4 + (204,) * 3 + (301, 302, 304, 304) + (400, 401, 403, 404, 404, 404, 429) + (500, 502, 503)
)
ROUTES = (
    "/api/v1/orders/{n}",
    "/api/v1/orders",
    "/api/v1/users/{u}",
    "/api/v1/users/{u}/cart",
    "/api/v2/search?q={w}&page={p}",
    "/api/v1/products/{n}",
    "/api/v1/products/{n}/reviews",
    "/static/js/app.{h}.js",
    "/static/img/{h}.webp",
    "/login",
    "/logout",
    "/healthz",
    "/metrics",
    "/api/v1/checkout",
    "/api/v1/payments/{n}",
    "/graphql",
    "/",
)
WORDS = ("lamp", "desk", "shoes", "coffee", "phone", "bike", "tent", "watch", "jacket", "mouse", "cable", "chair")
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
        "Safari/605.1.15"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "curl/8.9.1",
    "kube-probe/1.31",
    "Go-http-client/2.0",
)
MESSAGES = {
    "trace": ("entering handler", "cache lookup", "span started"),
    "debug": ("cache miss for key", "loaded configuration section", "acquired connection from pool", "retry scheduled"),
    "info": (
        "order created",
        "payment authorised",
        "user logged in",
        "email queued",
        "job finished",
        "inventory updated",
        "session refreshed",
        "request completed",
        "message published to topic",
        "worker heartbeat",
    ),
    "warn": (
        "slow query detected",
        "rate limit close to exhausted",
        "deprecated endpoint used",
        "retrying after temporary failure",
    ),
    "error": (
        "unhandled error while processing request",
        "connection refused by upstream",
        "error writing to database: deadlock detected",
        "timeout error waiting for lock",
        "validation error in payload",
    ),
    "fatal": ("out of memory, shutting down", "cannot bind port, exiting"),
}

# Leading timestamps of the 16 systems, as (regex, format name).
MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
TIMES = (
    (r"\[(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) " + MONTH + r" \d\d \d\d:\d\d:\d\d \d{4}\]", "apache"),
    (r"\d{4}-\d\d-\d\d[ _]\d\d:\d\d:\d\d,\d{3}", "iso_comma"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "iso_dot"),
    (r"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d", "iso_under"),
    (r"\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.\d{6}", "bgl"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "iso"),
    (r"\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "android"),
    (r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d", "spark"),
    (r"\d{8}-\d{1,2}:\d{1,2}:\d{1,2}:\d{1,3}", "healthapp"),
    (r"\[\d\d\.\d\d \d\d:\d\d:\d\d\]", "proxifier"),
    (MONTH + r" +\d{1,2} \d\d:\d\d:\d\d", "syslog"),
    (r"\d{4}\.\d\d\.\d\d(?= )", "dotdate"),
    (r"(?<= )1[01]\d{8}(?= )", "epoch"),
    (r"^\d{6} \d{6}(?= )", "hdfs"),
)
SLOT = re.compile(
    "|".join(f"(?P<t{number}>{pattern})" for number, (pattern, _) in enumerate(TIMES))
    + r"|(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    + r"|(?P<ip>\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b)"
    + r"|(?P<hex>\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b)"
    + r"|(?P<num>\d{4,20})"
)
LEVEL = re.compile(
    r"\b(TRACE|DEBUG|INFO|Info|notice|NOTICE|WARN(?:ING)?|ERROR|error|SEVERE|FATAL|FAILURE|Failed|failure)\b"
)
LEVEL_MAP = {
    "trace": "trace",
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "severe": "error",
    "fatal": "fatal",
    "failure": "error",
    "failed": "error",
}
