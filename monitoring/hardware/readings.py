"""What a reading holds. An absent sensor is None: neither an error nor a zero.

Keys are the field names, so a chart, the store and this file speak of the same thing.
"""

from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class HostReading:
    """One look at a host. Rates are over the time since the look before."""

    cpu_utilisation_ratio: float | None = None  # 0..1 over all cores
    load_1m: float | None = None
    memory_used_bytes: float | None = None  # total less available, as `free` counts it
    memory_total_bytes: float | None = None
    disk_used_bytes: float | None = None  # of the file system that holds the data folder
    disk_total_bytes: float | None = None
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None
    network_receive_bytes_per_second: float | None = None
    network_send_bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One look at a GPU. Behind each figure: the field of `nvidia-smi --query-gpu` that shows the same."""

    utilisation_ratio: float | None = None  # utilization.gpu, 0..1
    memory_used_bytes: float | None = None  # memory.used
    memory_total_bytes: float | None = None  # memory.total
    power_watts: float | None = None  # power.draw
    power_limit_watts: float | None = None  # enforced.power.limit
    temperature_celsius: float | None = None  # temperature.gpu
    sm_clock_hertz: float | None = None  # clocks.sm
    memory_clock_hertz: float | None = None  # clocks.mem
    throttle_ratio: float | None = None  # 1 while clocks are held down by heat or a power brake, else 0
    ecc_uncorrected_count: float | None = None  # ecc.errors.uncorrected.volatile.total
    xid_count: float | None = None  # critical XID events since the agent started


@dataclass(frozen=True, slots=True)
class GpuProcess:
    pid: int
    memory_used_bytes: int | None
    run: str | None = None  # code of the run it belongs to
    user: str = ""
    command: str = ""  # its program, and a script's name: no arguments, which may hold secrets
    started_at: float | None = None  # seconds since the epoch, by the host's clock


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a node registers for each device; `index` counts within `kind`."""

    kind: str  # cpu, gpu
    index: int
    name: str = ""
    uuid: str = ""
    memory_total_bytes: int | None = None
    healthy: bool = True
    health_reason: str = ""
    processes: tuple[GpuProcess, ...] = field(default=())


def present(reading: HostReading | GpuReading, prefix: str = "") -> dict[str, float]:
    """The sensors that answered, as {prefix + field name: value}."""
    found = {prefix + each.name: getattr(reading, each.name) for each in fields(reading)}
    return {key: float(value) for key, value in found.items() if value is not None}
