"""Every bound on what comes from outside, each with its source and what it protects.

A bound that a request exceeds either cuts the value and marks the line, or answers with an error of `errors.py`;
nothing is dropped silently.
"""

from typing import Final

# -- keys: mezmo-api 4.1 and 4.3 --------------------------------------------------------------------------------------
INGESTION_KEYS_MAX: Final = 10  # active at a time, per account
SERVICE_KEYS_MAX: Final = 20  # active at a time, per account
KEY_NAME_UTF16_MAX: Final = 30  # counted in UTF-16 units, as Mezmo's validator does
KEY_VALUE_CHARACTERS_MIN: Final = 16  # shorter values cannot be keys and are refused before any hashing
KEY_VALUE_CHARACTERS_MAX: Final = 80  # the longest that a known client carries (old Node library)

# -- one request ------------------------------------------------------------------------------------------------------
# Mezmo documents 10 MB; Vector and the OpenTelemetry exporter fill 10,000,000 bytes before their framing,
# and rich meta is not counted by the clients' own limits. Measured on the decoded body.
INGEST_BODY_BYTES_MAX: Final = 11 * 1024 * 1024
REQUEST_HEAD_BYTES_MAX: Final = 64 * 1024  # address and headers; a query of 20,000 characters must fit
CONFIG_BODY_BYTES_MAX: Final = 64 * 1024
# What is read on of a refused body so that the sender can see the answer instead of a reset connection.
REFUSED_BODY_DRAIN_BYTES_MAX: Final = 64 * 1024 * 1024
BATCH_LINES_MAX: Final = 1 << 21  # positions in a batch are 21 bits of the line id
QUERY_CHARACTERS_MAX: Final = 20_000
QUERY_DEPTH_MAX: Final = 50  # nested groups; deeper ones would exhaust the parser's stack
QUERY_CLAUSES_MAX: Final = 500

# -- one line: Mezmo's ingestion service limits (mezmo-api 5.5); longer values are cut --------------------------------
LINE_BYTES_MAX: Final = 16 * 1024
META_BYTES_MAX: Final = 32 * 1024
HOST_CHARACTERS_MAX: Final = 256
APP_CHARACTERS_MAX: Final = 512
LEVEL_CHARACTERS_MAX: Final = 80
TAG_CHARACTERS_MAX: Final = 80
TAGS_MAX: Final = 50  # every line of a batch carries the tags of its request
FUTURE_MS_MAX: Final = 24 * 3_600_000  # a timestamp further ahead becomes the arrival time

# -- export: mezmo-api 6.1 and 6.2 ------------------------------------------------------------------------------------
EXPORT_V1_LINES_MAX: Final = 20_000
EXPORT_V2_PAGE_LINES_MAX: Final = 10_000
