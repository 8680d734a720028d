"""The GPUs of this host through NVML (package nvidia-ml-py, module pynvml).

No driver is a CPU node, not an error. A sensor a card lacks reads as None. Any other failure of one
card marks that card unhealthy with NVML's own words and leaves the other cards alone.
"""

import logging
from types import ModuleType
from typing import Any

from .gpu_processes import gpu_process
from .readings import DeviceInfo, GpuProcess, GpuReading

logger = logging.getLogger(__name__)

# Reasons that mean trouble: heat or a power brake. Idle and the normal power cap are everyday life.
TROUBLE_REASONS = (
    "nvmlClocksThrottleReasonHwSlowdown",
    "nvmlClocksThrottleReasonHwThermalSlowdown",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
    "nvmlClocksEventReasonSwThermalSlowdown",
)
# XIDs after which NVIDIA's own guide asks for a reset or a service call: contained and uncontained ECC,
# page retirement, NVLink, fallen off the bus, GSP failures. Others are mostly the program's own faults.
FATAL_XIDS = frozenset({48, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140, 143})


def load() -> ModuleType | None:
    """pynvml, initialised, or None where there is no NVIDIA driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
        logger.info("no GPU here: %s", error)
        return None
    except pynvml.NVMLError as error:
        logger.warning("NVML did not start, this node counts as one without GPUs: %s", error)
        return None
    return pynvml


def there(nvml: Any) -> dict[int, str]:
    """{index: UUID} of the cards that the driver can open at this moment; nothing without a driver."""
    found: dict[int, str] = {}
    if nvml is None:
        return found
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        logger.warning("the NVIDIA driver does not answer: %s", error)
        return found
    for index in range(count):
        try:
            found[index] = text(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index)))
        except nvml.NVMLError as error:
            logger.warning("GPU %s cannot be opened: %s", index, error)
    return found


class Gpus:
    """All GPUs of the host. `nvml` is the pynvml module, or a fake of it, or None for a host without."""

    def __init__(self, nvml: Any) -> None:
        self.nvml = nvml
        self.handles: list[Any] = []
        self.faults: dict[int, str] = {}
        self.xids: dict[int, list[int]] = {}
        self.event_set: Any = None
        self.watched: set[int] = set()
        if nvml is None:
            return
        for index in range(self.ask(None, nvml.nvmlDeviceGetCount) or 0):
            self.handles.append(self.ask(index, lambda index=index: nvml.nvmlDeviceGetHandleByIndex(index)))
            self.xids[index] = []
        self.watch_xids()

    @property
    def driver(self) -> str | None:
        version = None if self.nvml is None else self.ask(None, self.nvml.nvmlSystemGetDriverVersion)
        return None if version is None else text(version)

    def read(self, index: int) -> GpuReading:
        """One reading of GPU `index`; every call takes well under a millisecond a sensor."""
        n = self.nvml
        self.faults.pop(index, None)
        if self.handles[index] is None:  # it could not be opened; it may be there again after a reset
            self.handles[index] = self.ask(index, lambda: n.nvmlDeviceGetHandleByIndex(index))
        handle = self.handles[index]
        if handle is None:
            self.faults.setdefault(index, "it cannot be opened")
            return GpuReading()

        def ask(question: Any, factor: float = 1) -> float | None:
            return scaled(self.ask(index, question), factor)

        memory = self.ask(index, lambda: n.nvmlDeviceGetMemoryInfo(handle))
        return GpuReading(
            utilisation_ratio=ask(lambda: n.nvmlDeviceGetUtilizationRates(handle).gpu, 0.01),
            memory_used_bytes=None if memory is None else memory.used,
            memory_total_bytes=None if memory is None else memory.total,
            power_watts=ask(lambda: n.nvmlDeviceGetPowerUsage(handle), 1e-3),
            power_limit_watts=ask(lambda: n.nvmlDeviceGetEnforcedPowerLimit(handle), 1e-3),
            temperature_celsius=ask(lambda: n.nvmlDeviceGetTemperature(handle, n.NVML_TEMPERATURE_GPU)),
            sm_clock_hertz=ask(lambda: n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_SM), 1e6),
            memory_clock_hertz=ask(lambda: n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_MEM), 1e6),
            throttle_ratio=self.throttled(index),
            ecc_uncorrected_count=ask(
                lambda: n.nvmlDeviceGetTotalEccErrors(
                    handle, n.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, n.NVML_VOLATILE_ECC
                )
            ),
            xid_count=len(self.xids[index]) if index in self.watched and self.event_set is not None else None,
        )

    def describe(self, index: int, reading: GpuReading | None = None) -> DeviceInfo:
        """Name, identity, health and processes of GPU `index`."""
        n, handle = self.nvml, self.handles[index]
        reading = reading or self.read(index)
        reason = self.trouble(index, reading)
        if handle is None and (handle := self.handles[index]) is None:
            return DeviceInfo(kind="gpu", index=index, healthy=False, health_reason=reason)
        total = reading.memory_total_bytes
        return DeviceInfo(
            kind="gpu",
            index=index,
            name=text(self.ask(index, lambda: n.nvmlDeviceGetName(handle)) or ""),
            uuid=text(self.ask(index, lambda: n.nvmlDeviceGetUUID(handle)) or ""),
            memory_total_bytes=None if total is None else int(total),
            healthy=not reason,
            health_reason=reason,
            processes=self.processes(index),
        )

    def trouble(self, index: int, reading: GpuReading) -> str:
        """Why nothing should be placed on this GPU, in words; empty when it is well."""
        if index in self.faults:
            return f"NVML: {self.faults[index]}"
        fatal = [xid for xid in self.xids[index] if xid in FATAL_XIDS]
        if fatal:
            return f"XID {fatal[-1]} was reported; the GPU needs a reset or a service check"
        if reading.ecc_uncorrected_count:
            return f"{reading.ecc_uncorrected_count:.0f} uncorrected ECC errors since the driver was loaded"
        return ""

    def processes(self, index: int) -> tuple[GpuProcess, ...]:
        n, handle = self.nvml, self.handles[index]
        found = self.ask(index, lambda: n.nvmlDeviceGetComputeRunningProcesses(handle)) or []
        # usedGpuMemory is None under drivers and containers that do not tell.
        return tuple(gpu_process(each.pid, each.usedGpuMemory) for each in found)

    def poll_xids(self) -> None:
        """Collect critical XID events that have come since the last call, without waiting."""
        while self.event_set is not None:
            try:
                event = self.nvml.nvmlEventSetWait_v2(self.event_set, 0)
            except self.nvml.NVMLError_Timeout:
                return
            except self.nvml.NVMLError as error:
                logger.warning("XID events are no longer watched: %s", error)
                self.event_set = None
                return
            # A card that fell off the bus (XID 79) has no index any more; its own sensors say that it is lost.
            index = self.ask(None, lambda event=event: self.nvml.nvmlDeviceGetIndex(event.device))
            logger.warning("GPU %s reported XID %s", index, int(event.eventData))
            if index in self.xids:
                self.xids[index].append(int(event.eventData))

    def watch_xids(self) -> None:
        n = self.nvml
        try:
            self.event_set = n.nvmlEventSetCreate()
        except n.NVMLError as error:  # not supported in some containers
            logger.info("XID events cannot be watched here: %s", error)
            return
        for index, handle in enumerate(self.handles):
            try:
                if handle is not None:
                    n.nvmlDeviceRegisterEvents(handle, n.nvmlEventTypeXidCriticalError, self.event_set)
                    self.watched.add(index)
            except n.NVMLError as error:  # not supported by this card
                logger.info("XID events of GPU %s cannot be watched: %s", index, error)

    def throttled(self, index: int) -> float | None:
        n, handle = self.nvml, self.handles[index]
        mask = self.ask(index, lambda: n.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        if mask is None:
            return None
        trouble = 0
        for name in TROUBLE_REASONS:
            trouble |= getattr(n, name, 0)
        return 1.0 if mask & trouble else 0.0

    def ask(self, index: int | None, question: Any) -> Any:
        """The answer, or None when the card lacks the sensor or fails; a failure is kept as its fault.

        index: the card; None for a question to the driver.
        """
        n = self.nvml
        try:
            return question()
        except (n.NVMLError_NotSupported, n.NVMLError_NoPermission, n.NVMLError_FunctionNotFound):
            return None
        except n.NVMLError as error:
            if index is None:
                logger.warning("the NVIDIA driver does not answer: %s", error)
            else:
                self.faults[index] = str(error)
            return None


def text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
