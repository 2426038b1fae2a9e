"""The worker type `warm`, on Prefect's documented extension point `BaseWorker`.

What a run goes through (control channel, cancellation, crash reports, hooks) is Prefect's own
executor, the one its `process` worker uses; only the start of the process is ours.
`prefect.runner` is not public API: look here first when Prefect is upgraded.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, cast
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.schemas.objects import Flow, FlowRun, State, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import InfrastructureNotFound, ObjectNotFound
from prefect.runner._control_channel import ControlChannel
from prefect.runner._flow_run_executor import (
    FlowRunExecutionResult,
    FlowRunExecutor,
    FlowRunExecutorContext,
    ProcessStarter,
)
from prefect.runner._process_manager import ProcessHandle, create_isolated_termination_scope
from prefect.runner._starter_engine import EngineCommandStarter
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessJobConfiguration, ProcessVariables, ProcessWorkerResult
from pydantic import PrivateAttr

from warm_worker import flow_hooks, prefect_patches
from warm_worker.forkserver import Job
from warm_worker.forkserver_client import ForkServers, spared

SET_WORKING_DIRECTORY = "prefect.deployments.steps.set_working_directory"
NICER_BY = 5
"""For each queue that goes before: three runs then have as much processor as one of that queue."""


class WarmJobConfiguration(ProcessJobConfiguration):
    """What one run needs: the settings of the `process` pool and the project it belongs to."""

    _project: Path | None = PrivateAttr(default=None)

    @property
    def project(self) -> Path | None:
        """The directory the deployment was made in, if its code is on this machine."""
        return self._project

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: DeploymentResponse | None = None,
        flow: Flow | None = None,
        work_pool: WorkPool | None = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """Complete the configuration with what depends on the run."""
        super().prepare_for_flow_run(
            flow_run, deployment, flow, work_pool, worker_name, worker_id=worker_id
        )
        self._project = project_of(deployment)

    def job(
        self,
        argv: list[str],
        cwd: str,
        known: Mapping[str, str] = MappingProxyType({}),
        nice: int = 0,
        **env: str,
    ) -> Job:
        """What a forkserver is asked to start."""
        merged = {**self.env, **spared(self.env), **env}
        return Job(
            argv=argv,
            env={name: value for name, value in merged.items() if value is not None},
            cwd=cwd,
            stream_output=self.stream_output,
            known=dict(known),
            nice=nice,
        )

    @contextmanager
    def run_directory(self) -> Iterator[str]:
        """The working directory of one process: the configured one, else a temporary one."""
        if self.working_dir:
            yield str(self.working_dir)
            return
        with tempfile.TemporaryDirectory(prefix="prefect-") as directory:
            yield directory


def project_of(deployment: DeploymentResponse | None) -> Path | None:
    """The directory a deployment's pull step enters, as `prefect deploy` writes it."""
    for step in (deployment and deployment.pull_steps) or []:
        if inputs := step.get(SET_WORKING_DIRECTORY):
            directory = Path(inputs["directory"])
            return directory.resolve() if directory.is_dir() else None
    return None


def due(flow_run: FlowRun) -> float:
    """When a run was to begin, the last time it was asked to, in seconds since the epoch."""
    moments = [flow_run.next_scheduled_start_time, flow_run.state and flow_run.state.timestamp]
    return max((moment.timestamp() for moment in moments if moment), default=time.time())


class WarmStarter:
    """Starts one flow run in a forked process; a `ProcessStarter` for Prefect's executor."""

    def __init__(
        self,
        forkservers: ForkServers,
        configuration: WarmJobConfiguration,
        cwd: str,
        known: Mapping[str, str],
        nice: int,
        control_channel: ControlChannel,
    ):
        self._known = known
        self._nice = nice
        self._forkservers = forkservers
        self._configuration = configuration
        self._cwd = cwd
        self._control_channel = control_channel

    async def start(
        self,
        flow_run: FlowRun,
        task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start the process, report its handle, and return when it has ended."""
        try:
            port, token = self._control_channel.register(flow_run.id)
            control = {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
        except RuntimeError:  # no loopback port to be had; cancelling then means killing
            control = {}
        job = self._configuration.job(
            ["-m", "prefect.engine"],
            self._cwd,
            self._known,
            self._nice,
            PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS="false",
            **control,
        )
        try:
            process = await self._forkservers.fork(self._configuration.project, job)
        except BaseException:
            self._control_channel.unregister(flow_run.id)
            raise
        group = create_isolated_termination_scope(process.pid)
        task_status.started(ProcessHandle(cast(anyio.abc.Process, process), group))
        await process.wait()


class WarmHookRunner:
    """Runs hooks in a forked process, so that no flow's code is ever loaded into the worker."""

    def __init__(
        self,
        forkservers: ForkServers,
        configure: Callable[[FlowRun], Awaitable[WarmJobConfiguration]],
    ):
        self._forkservers = forkservers
        self._configure = configure

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        """Run what the flow wants done when it is cancelled."""
        if state.is_cancelling():
            await self._run(flow_run, state)

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        """Run what the flow wants done when its process has died."""
        if state.is_crashed():
            await self._run(flow_run, state)

    async def _run(self, flow_run: FlowRun, state: State[Any]) -> None:
        configuration = await self._configure(flow_run)
        argv = [flow_hooks.__file__, str(flow_run.id), state.model_dump_json(exclude={"data"})]
        with configuration.run_directory() as cwd:
            job = configuration.job(argv, cwd)
            process = await self._forkservers.fork(configuration.project, job)
            await process.wait()


class WarmWorker(BaseWorker[WarmJobConfiguration, ProcessVariables, ProcessWorkerResult]):
    """Executes each flow run in a process forked from one that has its code imported."""

    type = "warm"
    job_configuration = WarmJobConfiguration
    job_configuration_variables = ProcessVariables

    _display_name = "Warm process"
    _description = (
        "Execute flow runs as processes forked from one that has Prefect and the flows "
        "already imported. As isolated as the process type, but begun in half a second."
    )
    _documentation_url = "https://docs.prefect.io/v3/concepts/workers"

    async def __aenter__(self) -> Self:
        """Begin to preload the project in the working directory, then join the work pool."""
        self._resources = AsyncExitStack()
        async with AsyncExitStack() as stack:
            self._forkservers = await stack.enter_async_context(ForkServers())
            await self._forkservers.warm_up(Path.cwd())
            self._memory = prefect_patches.Memory()
            prefect_patches.remember(self._memory)
            self._hooks = WarmHookRunner(self._forkservers, self._configure)
            self._executions = await stack.enter_async_context(FlowRunExecutorContext())
            stack.push_async_callback(self._end_runs)
            await super().__aenter__()
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        """Leave the work pool; end what still runs, which then counts as crashed."""
        try:
            await super().__aexit__(*exc_info)
        finally:
            await self._resources.aclose()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: WarmJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Execute one flow run and wait for its end.

        A crash has been reported to the API when this returns, by the engine itself or by the
        executor. The status code is then 0: a second report by the base class could come after
        an automation has already rescheduled the run, and crash the new attempt.
        """
        known = await self._known(flow_run)
        nice = await self._nice(flow_run)
        with configuration.run_directory() as cwd:
            executor = self._executions.create_executor(
                flow_run,
                self._starter(configuration, cwd, known, nice),
                propose_submitting=False,
                hook_runner=self._hooks,
            )
            result = await self._execute(executor, task_status or anyio.TASK_STATUS_IGNORED)
        return ProcessWorkerResult(status_code=0, identifier=str(result.handle.pid))

    async def kill_infrastructure(
        self,
        infrastructure_pid: str,
        configuration: WarmJobConfiguration,  # noqa: ARG002
        grace_seconds: int = 30,
    ) -> None:
        """End a run that is still pending, and everything in its process group.

        Raises:
            InfrastructureNotFound: If this worker runs no such process.
        """
        manager = self._executions.process_manager
        for flow_run_id in manager.flow_run_ids():
            handle = manager.get(flow_run_id)
            if handle and str(handle.pid) == infrastructure_pid:
                await manager.kill(flow_run_id, grace_seconds)
                return
        raise InfrastructureNotFound(f"This worker runs no process {infrastructure_pid}")

    async def _configure(self, flow_run: FlowRun) -> WarmJobConfiguration:
        return await self.job_configuration.resolve_for_flow_run(
            flow_run,
            client=self.client,
            work_pool=self.work_pool,
            worker_name=self.name,
            worker_id=self.backend_id,
        )

    async def _submit_run(self, flow_run: FlowRun) -> None:
        with self._memory.due(due(flow_run)):
            await super()._submit_run(flow_run)

    async def _propose_submitting_state(self, flow_run: FlowRun) -> None:
        """Leave it Pending for the moment that a fork takes; each state costs as much as a step."""

    async def _known(self, flow_run: FlowRun) -> dict[str, str]:
        """What this worker has read that the run would read again."""
        reads: list[Awaitable[Any]] = [
            self.client.read_server_default_result_storage(),
            self.client.read_work_pool(self.work_pool.name),
        ]
        if flow_run.work_queue_id:
            reads.append(self.client.read_work_queue(flow_run.work_queue_id))
        await asyncio.gather(*reads, return_exceptions=True)  # the run asks for what is missing
        return self._memory.handed_over()

    async def _nice(self, flow_run: FlowRun) -> int:
        """How much the run's process lets others go first: the more, the later its queue goes."""
        if not flow_run.work_queue_id:
            return 0
        try:
            queue = await self.client.read_work_queue(flow_run.work_queue_id)
        except (httpx.HTTPError, ObjectNotFound):
            return 0
        return NICER_BY * (queue.priority - 1)  # the system has a limit of its own, 19

    def _starter(
        self, configuration: WarmJobConfiguration, cwd: str, known: Mapping[str, str], nice: int
    ) -> ProcessStarter:
        if configuration._command_configured:  # a command of one's own cannot be preloaded
            return EngineCommandStarter(
                command=configuration.command,
                cwd=cwd,
                env=configuration.env,
                stream_output=configuration.stream_output,
                control_channel=self._executions.control_channel,
                isolate_process_group=True,
            )
        channel = self._executions.control_channel
        return WarmStarter(self._forkservers, configuration, cwd, known, nice, channel)

    async def _execute(
        self, executor: FlowRunExecutor, task_status: anyio.abc.TaskStatus[int]
    ) -> FlowRunExecutionResult:
        results: list[FlowRunExecutionResult | None] = []

        async def submit(*, task_status: anyio.abc.TaskStatus[ProcessHandle]) -> None:
            results.append(await executor.submit(task_status))

        async with anyio.create_task_group() as group:
            handle: ProcessHandle = await group.start(submit)
            task_status.started(cast(int, handle.pid))
        if not results or results[0] is None:
            raise RuntimeError("The flow run's process could not be started")
        return results[0]

    async def _end_runs(self) -> None:
        manager = self._executions.process_manager
        async with anyio.create_task_group() as group:
            for flow_run_id in manager.flow_run_ids():
                group.start_soon(manager.kill, flow_run_id)
