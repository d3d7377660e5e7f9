"""The shapes of what a server tells of the use of keys. Times are epoch milliseconds."""

import msgspec


class KeyCount(msgspec.Struct, frozen=True):
    requests: int
    refusals: int
    lines: int
    bytes: int


class KeyGeneration(KeyCount, frozen=True, kw_only=True):
    """One value of a key; `hosts` are those that used this value last."""

    generation: int
    state: str
    last_used_ms: int | None
    hosts: int


class KeyHour(KeyCount, frozen=True, kw_only=True):
    hour_ms: int
    generation: int


class KeyUser(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one user from another, and what it did."""

    generation: int
    address: str
    agent: str
    host: str
    carrier: str
    dialect: str
    first_ms: int
    last_ms: int
    requests: int
    refusals: int


class LastUse(msgspec.Struct, frozen=True):
    at_ms: int
    generation: int
    address: str
    agent: str
    host: str
    carrier: str
    dialect: str


class KeyUsage(msgspec.Struct, frozen=True):
    """`GET /api/keys/{key_id}/usage`."""

    id: str
    accuracy_s: int
    from_ms: int
    to_ms: int
    last_used: LastUse | None
    total: KeyCount
    generations: list[KeyGeneration]
    hours: list[KeyHour]
    users: list[KeyUser]


class Effect(msgspec.Struct, frozen=True):
    outcome: str
    text: str


class KeyClient(msgspec.Struct, frozen=True):
    """The users with programs that behave alike; `on` says what they do, by status."""

    family: str
    title: str
    versions: list[str]
    users: int
    hosts: int
    text: str
    on: dict[str, Effect]


class ActiveUser(KeyUser, frozen=True, kw_only=True):
    family: str
    in_last_minute: bool
    requests_per_minute: int | None
    lines_per_minute: int | None


class Present(msgspec.Struct, frozen=True):
    users: int
    hosts: int


class LastDay(KeyCount, frozen=True, kw_only=True):
    users: int
    hosts: int


class KeyImpact(msgspec.Struct, frozen=True):
    """`GET /api/keys/{key_id}/impact`."""

    id: str
    name: str
    type: str
    state: str
    own: bool
    at_ms: int
    accuracy_s: int
    complete: bool
    refused_with: int
    last_used_ms: int | None
    last_minute: Present
    last_day: LastDay
    advice: str
    text: str
    clients: list[KeyClient]
    users: list[ActiveUser]


class KeyFinding(msgspec.Struct, frozen=True):
    id: str
    name: str
    type: str
    concern: str
    since_ms: int
    advice: str


class KeyFindings(msgspec.Struct, frozen=True):
    """`GET /api/keys/hygiene`."""

    findings: list[KeyFinding]
