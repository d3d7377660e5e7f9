"""The composition root and table of contents: settings, then stores, then domains, then every route.

Read it top down to see what Logboom is made of. Nothing else builds these parts, and no part finds another by itself.
"""

import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import structlog
from anyio import CapacityLimiter
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine as Database
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as RequestScope

from logboom.accounts.repository import AccountRepository
from logboom.asgi.document import JsonDocument
from logboom.asgi.edge import Edge
from logboom.asgi.health import HealthRoutes
from logboom.asgi.network import Networks, TrustedProxies
from logboom.asgi.routing import Access, Endpoint, Route, addresses
from logboom.audit.clerk import Clerk
from logboom.audit.heads import Heads
from logboom.audit.lines import AuditLines
from logboom.audit.repository import AuditLog
from logboom.audit.routes import AuditRoutes
from logboom.bootstrap import Bootstrap, FirstStart
from logboom.database.alone import alone
from logboom.database.engine import open_database
from logboom.database.migrate import migrate
from logboom.errors import (
    DataFolderInUse,
    KeyHeld,
    NotAuthorized,
    NotFound,
    ScopeExceeded,
    ScopeMissing,
    SettingsInvalid,
    StartError,
)
from logboom.export.routes import ExportRoutes
from logboom.ingest.routes import IngestRoutes
from logboom.keys.bounds import Bounds
from logboom.keys.canary import is_redaction_proven
from logboom.keys.credentials import Carrier
from logboom.keys.due import Due
from logboom.keys.feed import Feed
from logboom.keys.following import Following, follow
from logboom.keys.gate import Gate
from logboom.keys.keeper import Clock, Keeper
from logboom.keys.key import Caller
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.leak_routes import LeakRoutes
from logboom.keys.leaks import Leaks
from logboom.keys.master_secret import open_vault
from logboom.keys.meter import Meter
from logboom.keys.native_routes import NativeKeyRoutes
from logboom.keys.policies import Policies
from logboom.keys.policy_routes import PolicyRoutes
from logboom.keys.redaction import hide_values
from logboom.keys.redigest import Offers, Redigester
from logboom.keys.repository import KeyRepository
from logboom.keys.rotation import Rotation
from logboom.keys.routes import KeyRoutes
from logboom.keys.scan import Scanner
from logboom.keys.scopes import Scope
from logboom.keys.slowdown import Slowdown
from logboom.keys.usage_routes import UsageRoutes
from logboom.keys.use import KeyUse, UseListener, watch_use
from logboom.keys.vault import Vault
from logboom.keys.verdict import Refused
from logboom.members.repository import MemberRepository
from logboom.metrics import Metrics
from logboom.mill.mill import Mill
from logboom.records import KeyRecords
from logboom.search.routes import SearchRoutes
from logboom.settings import Settings
from logboom.spool import Disk, Spool
from logboom.store import EmbeddedLineStore, Engine, LineStore

log = structlog.get_logger(__name__)

SEARCH_CONNECTIONS = 10  # searches and exports that run at once; the next ones wait
INSERT_CONNECTIONS = 2
# What a change of keys raises when the key that asks has ended or been given less to do since it was admitted.
LATE_REFUSALS = (NotAuthorized, KeyHeld, ScopeMissing, ScopeExceeded)
OPENAPI = Path(__file__).with_name("openapi.json")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything a running server is made of, in the order in which it is opened."""

    folder_lock: IO[bytes]
    registry: CollectorRegistry
    accounts: AccountRepository
    audit: AuditLog
    clerk: Clerk
    keys: Keys
    policies: Policies
    following: Following
    redigester: Redigester
    gate: Gate
    bounds: Bounds
    proxies: TrustedProxies
    use: KeyUse
    keeper: Keeper
    leaks: Leaks
    first_start: FirstStart | None
    store: LineStore
    spool: Spool
    mill: Mill
    metrics: Metrics

    @property
    def is_ready(self) -> bool:
        """Whether lines can be accepted and found."""
        return self.mill.is_well and self.spool.is_well

    def start(self) -> None:
        """Begin what runs beside the requests."""
        self.following.start()
        self.redigester.start()
        self.use.flush.start()
        self.keeper.start()
        self.leaks.start()
        self.mill.start()
        self.clerk.start()

    def close(self) -> None:
        """Stop the mill after its round, sync the spool, close the files."""
        self.redigester.stop()
        self.following.stop()
        self.keeper.stop()
        self.use.flush.stop()
        self.leaks.stop()
        self.clerk.stop()
        self.mill.stop()
        self.spool.close()
        self.store.close()
        self.folder_lock.close()


def route_table(parts: Parts) -> Sequence[Route]:
    """Every address of the server, who may ask, and what answers."""
    health = HealthRoutes(is_ready=lambda: parts.is_ready, registry=parts.registry)
    ingest = IngestRoutes(
        gate=parts.gate,
        bounds=parts.bounds,
        redactor=parts.leaks.redactor,
        spool=parts.spool,
        now_ms=now_ms,
        lines=parts.metrics.accepted_lines,
        on_accepted=parts.use.listener.accepted,
    )
    keys = KeyRoutes(parts.keys)
    audit = AuditRoutes(parts.audit, check_key=parts.keys.check_known)
    turns = CapacityLimiter(SEARCH_CONNECTIONS)
    export = ExportRoutes(
        store=parts.store, threads=turns, recheck=partial(parts.gate.recheck, scopes=(Scope.EXPORT_READ,))
    )
    search = SearchRoutes(store=parts.store, threads=turns)
    native = NativeKeyRoutes(parts.keys, parts.following.nodes, now_ms=now_ms)
    policy = PolicyRoutes(parts.policies)
    usage = UsageRoutes(parts.keys, parts.use.repository, parts.use.flush, now_ms=now_ms)
    leaks = LeakRoutes(parts.keys, parts.leaks)
    openapi = JsonDocument(OPENAPI)
    change, read, reveal = Scope.KEYS_MANAGE, Scope.KEYS_READ, Scope.KEYS_REVEAL
    return (
        Route("GET", "/healthz", Access.PUBLIC, (), health.live),
        Route("GET", "/readyz", Access.PUBLIC, (), health.ready),
        Route("GET", "/metrics", Access.PUBLIC, (), health.metrics),
        Route("POST", "/logs/ingest", Access.INGESTION_KEY, (), ingest.ingest_lines),
        Route("POST", "/logs/agent", Access.INGESTION_KEY, (), ingest.ingest_lines),
        Route("GET", "/v1/export", Access.SERVICE_KEY_OR_QUERY, (Scope.EXPORT_READ,), export.export_lines),
        Route("GET", "/v2/export", Access.SERVICE_KEY, (Scope.EXPORT_READ,), export.export_page),
        Route("GET", "/api/audit", Access.SERVICE_KEY, (Scope.AUDIT_READ,), audit.list_events),
        Route("GET", "/api/audit/verify", Access.SERVICE_KEY, (Scope.AUDIT_READ,), audit.verify_chain),
        Route("GET", "/api/search/count", Access.SERVICE_KEY, (Scope.EXPORT_READ,), search.count_lines),
        Route("GET", "/v1/config/keys", Access.SERVICE_KEY, (read, reveal), keys.list_keys),
        Route("POST", "/v1/config/keys", Access.SERVICE_KEY, (change,), keys.create_key),
        Route("GET", "/v1/config/keys/{key_id}", Access.SERVICE_KEY, (read, reveal), keys.get_key),
        Route("PUT", "/v1/config/keys/{key_id}", Access.SERVICE_KEY, (change, reveal), keys.rename_key),
        Route("DELETE", "/v1/config/keys/{key_id}", Access.SERVICE_KEY, (change,), keys.delete_key),
        Route("GET", "/api/openapi.json", Access.PUBLIC, (), openapi.answer),
        Route("GET", "/api/keys", Access.SERVICE_KEY, (read,), native.list_keys),
        Route("POST", "/api/keys", Access.SERVICE_KEY, (change,), native.create_key),
        # The fixed names come before the ids, as the first address that fits answers.
        Route("GET", "/api/keys/hygiene", Access.SERVICE_KEY, (Scope.USAGE_READ,), usage.list_findings),
        Route("GET", "/api/keys/self", Access.ANY_KEY, (), native.get_self),
        Route("GET", "/api/keys/policy", Access.SERVICE_KEY, (Scope.CONFIG_READ,), policy.get_policy),
        Route("PATCH", "/api/keys/policy", Access.SERVICE_KEY, (Scope.CONFIG_WRITE,), policy.change_policy),
        Route("POST", "/api/keys/import", Access.SERVICE_KEY, (change,), native.import_key),
        Route("POST", "/api/keys/revoke-exposed", Access.PUBLIC, (), native.end_exposed),
        # With `?reveal=1` it needs keys:reveal too.
        Route("GET", "/api/keys/{key_id}", Access.SERVICE_KEY, (read,), native.get_key),
        Route("PATCH", "/api/keys/{key_id}", Access.SERVICE_KEY, (change,), native.edit_key),
        Route("DELETE", "/api/keys/{key_id}", Access.SERVICE_KEY, (change,), native.delete_key),
        Route("GET", "/api/keys/{key_id}/events", Access.SERVICE_KEY, (Scope.AUDIT_READ,), audit.list_key_events),
        Route("GET", "/api/keys/{key_id}/impact", Access.SERVICE_KEY, (Scope.USAGE_READ,), usage.get_impact),
        Route("GET", "/api/keys/{key_id}/usage", Access.SERVICE_KEY, (Scope.USAGE_READ,), usage.get_usage),
        Route("GET", "/api/keys/{key_id}/leaks", Access.SERVICE_KEY, (Scope.USAGE_READ,), leaks.list_leaks),
        Route("POST", "/api/keys/{key_id}/rotate", Access.SERVICE_KEY, (change,), native.rotate_key),
        Route("POST", "/api/keys/{key_id}/end-overlap", Access.SERVICE_KEY, (change,), native.end_overlap),
        Route("POST", "/api/keys/{key_id}/hold", Access.SERVICE_KEY, (change,), native.hold_key),
        Route("POST", "/api/keys/{key_id}/release", Access.SERVICE_KEY, (change,), native.release_key),
        Route("POST", "/api/keys/{key_id}/disable", Access.SERVICE_KEY, (change,), native.disable_key),
        Route("POST", "/api/keys/{key_id}/enable", Access.SERVICE_KEY, (change,), native.enable_key),
    )


def open_parts(settings: Settings) -> Parts:
    """Open everything. Raises StartError with a text for the operator."""
    proxies = _trusted_proxies(settings)
    folder_lock = lock_folder(settings.data_dir)
    registry = CollectorRegistry()
    metrics = Metrics(registry)

    database = open_database(settings.control_plane_url)
    migrate(database)
    vault = open_vault(
        database, folder=settings.data_dir, given=settings.master_secret, random_bytes=secrets.token_bytes
    )
    clerk_woken = threading.Event()
    offers = Offers()
    keyring = Keyring(vault, offers.put)
    scanner = Scanner(keyring.find_holders)
    keep = partial(hide_values, scanner)
    audit = AuditLog(database, vault.audit_keys, now_ms, listener=lambda _row: clerk_woken.set(), keep=keep)
    audit.begin()
    records = KeyRecords(
        audit, now_ms=now_ms, now_s=time.monotonic, woken=clerk_woken, on_dropped=metrics.dropped_refusals.inc
    )
    accounts, members = _owners(database, records)
    repository = KeyRepository(database, vault)
    keys = Keys(
        repository,
        keyring,
        vault,
        now_ms=now_ms,
        random_hex=secrets.token_hex,
        on_change=records.record_change,
        on_reveal=records.record_reveals,
        on_not_made=records.note_not_made,
        following=KeyRepository(open_database(settings.control_plane_url), vault),
    )
    policies = Policies(database, now_ms=now_ms, on_change=records.record_policy)
    for key_id in keys.load():
        log.error("keys.altered", key_id=key_id, effect="the key is refused")
    following = follow(database, keys, now_ms=now_ms, node_id=secrets.token_hex(8))
    _prove(scanner, keyring, vault, metrics)
    use, bounds = _use_and_bounds(database, keep, metrics)

    store, spool, mill = _open_lines(settings, metrics)
    # Last of what can fail: its values are told once, and are lost when the start fails after it.
    bootstrap = Bootstrap(accounts=accounts, members=members, keys=keys, random_text=secrets.choice)
    with alone(database):  # servers that start together make one account
        first_start = bootstrap.run(settings)
    return Parts(
        folder_lock=folder_lock,
        registry=registry,
        accounts=accounts,
        audit=audit,
        clerk=_clerk(audit, records, spool, metrics=metrics, woken=clerk_woken),
        keys=keys,
        policies=policies,
        following=following,
        redigester=Redigester(offers, Rotation(repository, vault), following.nodes),
        gate=_gate(keyring, following.feed, bounds, use.listener, records=records, metrics=metrics),
        bounds=bounds,
        proxies=proxies,
        use=use,
        keeper=_keeper(Due(keys, repository, now_ms=now_ms), use, records),
        leaks=_leaks(database, scanner, keys, policies, records=records, metrics=metrics),
        first_start=first_start,
        store=store,
        spool=spool,
        mill=mill,
        metrics=metrics,
    )


def _owners(database: Database, records: KeyRecords) -> tuple[AccountRepository, MemberRepository]:
    """What keeps accounts, and the people in them."""
    accounts = AccountRepository(
        database, now_ms=now_ms, random_hex=secrets.token_hex, on_created=records.record_account
    )
    members = MemberRepository(
        database,
        hasher=PasswordHasher(),
        now_ms=now_ms,
        random_hex=secrets.token_hex,
        on_created=records.record_member,
    )
    return accounts, members


def _prove(scanner: Scanner, keyring: Keyring, vault: Vault, metrics: Metrics) -> None:
    """Say so loudly when values of keys are not found."""
    is_proven = is_redaction_proven(keyring, scanner, vault, secrets.token_hex)
    metrics.redaction_proven.set(is_proven)
    if not is_proven:
        log.error("leaks.canary_missed", effect="values of keys may be kept in lines")


def _leaks(
    database: Database, scanner: Scanner, keys: Keys, policies: Policies, *, records: KeyRecords, metrics: Metrics
) -> Leaks:
    return Leaks(
        database,
        scanner,
        keys,
        policies,
        record=records.record_leak,
        is_answered=records.is_leak_answered,
        redacted=metrics.redacted_values,
        now_ms=now_ms,
    )


def _open_lines(settings: Settings, metrics: Metrics) -> tuple[LineStore, Spool, Mill]:
    """Where lines are kept, where they wait before that, and what brings them from there."""
    folder, memory = settings.data_dir / "lines", settings.engine_memory_bytes_max
    inserts = Engine(folder, connections=INSERT_CONNECTIONS, memory_bytes_max=memory)
    searches = Engine(folder, connections=SEARCH_CONNECTIONS, memory_bytes_max=memory, threads=settings.engine_threads)
    store = EmbeddedLineStore(searches=searches, inserts=inserts)
    disk = Disk(settings.data_dir, free_bytes_min=settings.disk_free_bytes_min, now_s=time.monotonic)
    spool = Spool(settings.data_dir / "spool.db", disk=disk, bytes_max=settings.spool_bytes_max, first_seq=now_ms())
    mill = Mill(
        spool=spool,
        store=store,
        engine=inserts,
        folder=settings.data_dir,
        metrics=metrics.mill,
        batch_lines=settings.mill_batch_lines,
        interval_s=settings.mill_interval_ms / 1000,
    )
    metrics.watch(spool, disk)
    return store, spool, mill


def _use_and_bounds(database: Database, keep: Callable[[str], str], metrics: Metrics) -> tuple[KeyUse, Bounds]:
    meter = Meter(now_ms=now_ms, monotonic_s=time.monotonic)
    written, random = metrics.count_usage_write, secrets.SystemRandom().random
    use = watch_use(database, meter, now_ms=now_ms, random=random, keep=keep, on_written=written)
    return use, Bounds(meter)


def _trusted_proxies(settings: Settings) -> TrustedProxies:
    try:
        return TrustedProxies(Networks(settings.trusted_networks))
    except ValueError as cause:
        message = "LOGBOOM_TRUSTED_PROXIES must be networks such as 10.0.0.0/8, joined by commas, without host bits."
        raise SettingsInvalid(message) from cause


def _gate(
    keyring: Keyring, feed: Feed, bounds: Bounds, use: UseListener, *, records: KeyRecords, metrics: Metrics
) -> Gate:
    def on_refused(request: Request, refused: Refused, carrier: Carrier) -> None:
        use.refused(request, refused, carrier)
        records.note_refused(request, refused, carrier)
        metrics.count_refusal(refused)

    def on_dry_run(request: Request, refused: Refused, carrier: Carrier) -> None:
        records.note_refused(request, refused, carrier)
        metrics.count_refusal(refused)

    return Gate(
        keyring,
        feed,
        bounds,
        now_ms=now_ms,
        on_admitted=use.admitted,
        on_refused=on_refused,
        on_dry_run=on_dry_run,
        on_unknown=Slowdown(monotonic_s=time.monotonic).wait_for_turn,
    )


def _keeper(due: Due, use: KeyUse, records: KeyRecords) -> Keeper:
    clock = Clock(now_ms, time.monotonic)
    return Keeper(due, use.repository, use.flush, clock, now_ms=now_ms, on_clock_step=records.record_clock_step)


def _clerk(audit: AuditLog, records: KeyRecords, spool: Spool, *, metrics: Metrics, woken: threading.Event) -> Clerk:
    """What the audit log leaves to later; the last head stands behind the last event."""
    heads = Heads(audit, now_ms=now_ms)
    lines = AuditLines(audit, spool, host=socket.gethostname(), now_ms=now_ms, on_lines=metrics.accepted_lines.inc)
    duties = [heads.tell_daily, records.record_merged, lines.bring]
    return Clerk(duties, last=[records.finish, lines.bring, heads.tell], woken=woken)


def make_server(parts: Parts) -> ASGIApp:
    """The ASGI application over *parts*. Its lifespan starts the mill and closes everything at the end."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        parts.start()
        log.info("server.started")
        yield
        parts.close()
        log.info("server.stopped")

    # Redirects would turn a POST into a bodiless GET and lose the batch. mezmo-api 1
    router = Router(
        addresses(route_table(parts), partial(guard, gate=parts.gate)),
        lifespan=lifespan,
        redirect_slashes=False,
        default=_absent,
    )
    return Edge(router, parts.metrics.edge, parts.proxies)


def lock_folder(folder: Path) -> IO[bytes]:
    """Take the data folder for this process alone. Raises DataFolderInUse, StartError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "lock").open("ab")
    except OSError as cause:
        raise StartError(f"The data folder {folder} cannot be used: {cause.strerror}.") from cause
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        file.close()
        raise DataFolderInUse(f"Another Logboom server uses the data folder {folder} already.") from cause
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def now_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def guard(route: Route, gate: Gate) -> Endpoint:
    """Puts the check of the key before the answer of a *route*. What its access does not say opens to nobody."""
    scopes = tuple(Scope(scope) for scope in route.scopes)
    find_caller: Callable[[Request], Awaitable[Caller]]
    match route.access:
        case Access.PUBLIC | Access.INGESTION_KEY:
            return route.answer
        case Access.ANY_KEY:
            find_caller = gate.any_caller
        case Access.SERVICE_KEY | Access.SERVICE_KEY_OR_QUERY:
            allow_query = route.access is Access.SERVICE_KEY_OR_QUERY
            find_caller = partial(gate.service_caller, scopes=scopes, allow_query=allow_query)

    async def guarded(request: Request) -> Response:
        caller = await find_caller(request)
        try:
            return await route.answer(request, caller)
        except LATE_REFUSALS as error:
            gate.tell_late(request, caller, error)
            raise

    return guarded


async def _absent(_scope: RequestScope, _receive: Receive, _send: Send) -> None:
    raise NotFound
