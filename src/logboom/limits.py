"""Every bound on what comes from outside, each with its source and what it protects.

A bound that a request exceeds either cuts the value and marks the line, or answers with an error of `errors.py`;
nothing is dropped silently.
"""

from typing import Final

# -- keys: mezmo-api 4.1 and 4.3 --------------------------------------------------------------------------------------
INGESTION_KEYS_MAX: Final = 10  # active at a time, per account
SERVICE_KEYS_MAX: Final = 20  # active at a time, per account
KEY_NAME_UTF16_MAX: Final = 30  # on the compatible API; counted in UTF-16 units, as Mezmo's validator does
KEY_NAME_CHARACTERS_MAX: Final = 200  # on the native API
KEY_NOTE_CHARACTERS_MAX: Final = 1_000
KEY_OWNER_CHARACTERS_MAX: Final = 200
KEY_LABELS_MAX: Final = 20
KEY_LABEL_CHARACTERS_MAX: Final = 80  # of a label's name, and of its text
KEY_VALUE_CHARACTERS_MIN: Final = 16  # shorter values cannot be keys and are refused before any hashing
KEY_VALUE_CHARACTERS_MAX: Final = 80  # the longest that a known client carries (old Node library)

# -- the life of a key: keys.md 5.5, 5.7, 5.9, 5.11 ------------------------------------------------------------------
HOLD_DEFAULT_MS: Final = 15 * 60_000  # some clients retry only a few times, so a hold ends soon by itself
HOLD_MS_MAX: Final = 24 * 3_600_000
OVERLAP_DEFAULT_MS: Final = 24 * 3_600_000
OVERLAP_MS_MAX: Final = 30 * 24 * 3_600_000
LIFETIME_MS_MAX: Final = 3_650 * 24 * 3_600_000  # the longest that a policy may let keys live
HELD_RETRY_AFTER_S_MAX: Final = 30  # a hold may be released early, and nobody should sleep through that
TOMBSTONE_MS: Final = 400 * 24 * 3_600_000  # how long the use of an ended value is still named
ANSWER_REMEMBERED_MS: Final = 24 * 3_600_000
IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 255
IMPORTS_PER_HOUR_MAX: Final = 10  # per account; a clash is refused, and guessing by import must be hopeless
EXPOSED_REPORTS_PER_HOUR_MAX: Final = 60  # per address
IMPORTED_BITS_MIN: Final = 112  # below that a value can be guessed. NIST SP 800-63B
USAGE_KEPT_MS: Final = TOMBSTONE_MS
LEAK_HOLD_MS: Final = 3_600_000  # what an account's policy does to a leaked key, where it says `hold`
LEAK_OVERLAP_MS: Final = 3_600_000  # and where it says `rotate`
LEAK_PLACES_MAX: Final = 100  # app and host, of one key and day; who sends lines can make up any number
LEAKS_SHOWN_MAX: Final = 1_000  # in one answer, newest first
USAGE_RANGE_MS_MAX: Final = 31 * 24 * 3_600_000  # of one answer about the use of a key, which has a row for each hour
NETWORKS_MAX: Final = 100  # of one list of a key; each request that carries the key is compared with all of them
PATTERNS_MAX: Final = 100  # of one list of a key, likewise
REFUSED_TEXT_CHARACTERS_MAX: Final = 80  # of what did not fit, repeated to its sender
REQUESTS_PER_S_MAX: Final = 100_000
PER_DAY_MAX: Final = 10**15  # lines or bytes; a bound above that is none
KEY_PAGE_MAX: Final = 100  # keys in one answer of the native list
AUDIT_PAGE_MAX: Final = 200  # audit events in one answer; an event with before and after takes a few KiB

# -- one request ------------------------------------------------------------------------------------------------------
# Mezmo documents 10 MB; Vector and the OpenTelemetry exporter fill 10,000,000 bytes before their framing,
# and rich meta is not counted by the clients' own limits. Measured on the decoded body.
INGEST_BODY_BYTES_MAX: Final = 11 * 1024 * 1024
REQUEST_HEAD_BYTES_MAX: Final = 64 * 1024  # address and headers; a query of 20,000 characters must fit
CONFIG_BODY_BYTES_MAX: Final = 64 * 1024
# A body that must be read before its key is known; logdna-go, which needs this, sends 50 lines at a time.
KEYLESS_BODY_BYTES_MAX: Final = 1024 * 1024
# Accepted bodies on their way to the disk; a disk that falls behind must not fill the memory.
UNWRITTEN_BYTES_MAX: Final = 256 * 1024 * 1024
# A request or an answer that does not move for so long holds memory and, if it is an export, one of few searches.
# Not less: senders on mobile networks pause, and nothing is lost by waiting.
STALL_S: Final = 60
# Each costs up to 100 KB while it is idle; a fleet of agents keeps one each. The next are answered 504, and when these
# are many too they come from nobody who reads answers.
CONNECTIONS_MAX: Final = 10_000
CONNECTIONS_REFUSED_MAX: Final = 1_000
# What is read on of a refused body so that the sender can see the answer instead of a reset connection.
REFUSED_BODY_DRAIN_BYTES_MAX: Final = 64 * 1024 * 1024
# Refusals of unknown keys: so many a second after a burst, all senders together; the others wait, but not for ever.
UNKNOWN_KEYS_PER_S: Final = 200
UNKNOWN_KEYS_BURST: Final = 200
UNKNOWN_KEY_WAIT_S_MAX: Final = 2
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
FILE_CHARACTERS_MAX: Final = 4096  # the longest path that Linux opens
FIELDS_MAX: Final = 1000  # parsed of one line; Mezmo indexes about 500 names a day
# Each member of an object repeats the object's path, so long paths would multiply what was sent.
PATH_BYTES_MAX: Final = 100  # of an object that is opened; under a longer one it stays text
TAGS_MAX: Final = 50  # every line of a batch carries the tags of its request
FUTURE_MS_MAX: Final = 24 * 3_600_000  # a timestamp further ahead becomes the arrival time

# -- export: mezmo-api 6.1 and 6.2 ------------------------------------------------------------------------------------
EXPORT_V1_LINES_MAX: Final = 20_000
EXPORT_V2_PAGE_LINES_MAX: Final = 10_000
# A page is built in memory, several at a time; it ends early rather than exceed this by more than a line.
EXPORT_V2_PAGE_BYTES_MAX: Final = 32 * 1024 * 1024
SEARCH_WAIT_S: Final = 20  # for a place among the searches that run; clients give up after 30 s

# -- secrets of the installation: NIST SP 800-57 part 1, 5.3.6 asks for a period for each ------------------------------
CRYPTOPERIOD_DAYS: Final = 365
