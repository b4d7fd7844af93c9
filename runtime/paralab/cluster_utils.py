"""Several nodes on one machine, to see how a program behaves on a cluster.

The nodes are *virtual*: each has an id, labels and resources of its own, and workers that belong
to it; the node process and the memory of the object store are shared.  What a worker has stored
counts as stored on its node: it is lost with the node, and is made again where that is possible.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from paralab import init, is_initialized, limits, shutdown
from paralab.engine import current
from paralab.init_options import check_init_options
from paralab.library_name import said
from paralab.process.door import ask, end_node_at
from paralab.process.session import node_amounts, start_node_alone
from paralab.process.session_folder import SCHEME
from paralab.runtime_context import get_runtime_context
from paralab.task_spec import fixed_resources

__all__ = ["Cluster"]

_STORE = 150 << 20
_IGNORED = {
    "redis_address", "gcs_address", "redis_port", "redis_shard_ports", "object_manager_port",
    "node_manager_port", "gcs_server_port", "node_ip_address", "min_worker_port",
    "max_worker_port", "worker_port_list", "ray_client_server_port", "redirect_output",
    "log_to_stderr", "external_addresses", "num_redis_shards", "redis_max_clients",
    "redis_username", "redis_password", "plasma_directory", "object_spilling_directory",
    "worker_path", "setup_worker_path", "huge_pages", "include_dashboard", "dashboard_host",
    "dashboard_port", "dashboard_agent_listen_port", "runtime_env_agent_port",
    "plasma_store_socket_name", "raylet_socket_name", "temp_dir", "runtime_env_dir_name",
    "include_log_monitor", "ray_debugger_external", "_system_config",
    "enable_object_reconstruction", "metrics_agent_port", "metrics_export_port",
    "tracing_startup_hook", "no_monitor", "session_name", "webui", "cluster_id",
    "proxy_server_url",
}  # fmt: skip
"""About Ray's own processes, ports and files; nothing here could be changed by them."""
_UNAVAILABLE = ("autoscaling_config", "env_vars", "node_id", "resource_isolation_config")
_END_SECONDS = 10.0


class ClusterNode:
    """One node of a :class:`Cluster`.

    Attributes:
        node_id: in hexadecimal digits, as ``nodes()`` and ``get_node_id()`` show it.
        address: of the cluster.
    """

    node_ip_address = "127.0.0.1"

    def __init__(self, node_id: str, address: str, *, head: bool) -> None:
        self.node_id = node_id
        self.address = self.gcs_address = address
        self.head = head

    @property
    def unique_id(self) -> str:
        """The same as ``node_id``."""
        return self.node_id

    def is_head(self) -> bool:
        """Whether it is the first one, to which the drivers belong."""
        return self.head

    def __repr__(self) -> str:
        return f"ClusterNode({self.node_id[:12]}{', head' if self.head else ''})"


class Cluster:
    """A cluster of virtual nodes on this machine.  It ends with this process at the latest.

    Args:
        initialize_head: whether to start the first node at once.
        connect: whether to call ``init`` with the address of it.
        head_node_args: arguments of :meth:`add_node` for it.
        shutdown_at_exit: False lets the cluster outlive this process.

    Raises:
        RuntimeError: ``connect`` without ``initialize_head``.
    """

    def __init__(
        self,
        initialize_head: bool = False,
        connect: bool = False,
        head_node_args: dict[str, Any] | None = None,
        shutdown_at_exit: bool = True,
    ) -> None:
        self.head_node: ClusterNode | None = None
        self.worker_nodes: set[ClusterNode] = set()
        self.connected = False
        self._order: list[ClusterNode] = []
        self._folder = ""
        self._shutdown_at_exit = shutdown_at_exit
        if connect and not initialize_head:
            raise RuntimeError("Cannot connect to uninitialized cluster.")
        if initialize_head:
            self.add_node(**(head_node_args or {}))
            if connect:
                self.connect()

    @property
    def address(self) -> str | None:
        """What ``init(address=...)`` takes; None before the first node."""
        return None if self.head_node is None else self.head_node.address

    gcs_address = address

    def connect(self, namespace: str | None = None) -> None:
        """Calls ``init`` with the address of this cluster."""
        assert self.address is not None, "The cluster has no node yet: call add_node()."
        assert not self.connected
        init(self.address, namespace=namespace, ignore_reinit_error=True)
        self.connected = True

    def add_node(self, wait: bool = True, **node_args: Any) -> ClusterNode:
        """Adds a node; the first one is the head, to which the drivers belong.

        Args:
            wait: accepted; a node is always there when this returns.
            **node_args: ``num_cpus`` (default 1), ``num_gpus`` (0), ``resources``, ``labels``,
                ``memory`` in bytes, ``node_name``, and ``object_store_memory`` in bytes
                (150 MiB), which is the head's only: all nodes share one store.  Arguments about
                Ray's own ports, files and processes are accepted and change nothing.

        Raises:
            TypeError, ValueError: an argument is unknown or wrong; the message names it.
            NotImplementedError: it is known from Ray, and not available here.
        """
        given = _checked(node_args)
        if self.head_node is None:
            store = given["object_store_memory"] or _STORE
            self._folder = start_node_alone(
                ends_with_us=self._shutdown_at_exit,
                **{key: given[key] for key in ("num_cpus", "num_gpus", "resources", "labels")},
                memory=given["memory"],
                object_store_memory=store,
            )
            node_id = ask(self._folder, "status")["node_id"]
            self.head_node = ClusterNode(node_id, SCHEME + self._folder, head=True)
            return self.head_node
        memory = limits.memory_limit() if given["memory"] is None else given["memory"]
        amounts = (given["num_cpus"], given["num_gpus"], given["resources"], float(memory))
        answer = ask(
            self._folder,
            "add_node",
            resources=fixed_resources(node_amounts(*amounts)),
            labels=given["labels"],
            name=given["node_name"],
        )
        node = ClusterNode(answer["node_id"], self.head_node.address, head=False)
        self.worker_nodes.add(node)
        self._order.append(node)
        return node

    def remove_node(self, node: ClusterNode, allow_graceful: bool = True) -> None:
        """Ends a node with its workers: their tasks and actors go elsewhere where they may.

        Args:
            node: what :meth:`add_node` has returned.  Without the head all others end too.
            allow_graceful: accepted; workers end at once either way.

        Raises:
            ValueError: this process is a driver of the node, and its session is over now; or it
                is no node of this cluster.
        """
        if node is self.head_node:
            if is_initialized() and get_runtime_context().get_node_id() == node.node_id:
                shutdown()
                raise ValueError(
                    "Removing a node that is connected to this driver is not allowed because it "
                    "will break the driver. "
                    + said("Call paralab.shutdown() before, or remove another node.")
                )
            self.head_node = None
            self.worker_nodes.clear()
            self._order.clear()
            end_node_at(self._folder, _END_SECONDS, force=True)
            return
        if node not in self.worker_nodes:
            raise ValueError(f"{node!r} is no node of this cluster, or was removed before.")
        self.worker_nodes.remove(node)
        self._order.remove(node)
        ask(self._folder, "remove_node", node_id=node.node_id)
        if is_initialized():  # what was lost with the node is known here when this returns
            current().info("jobs")

    def wait_for_nodes(self, timeout: float = 30) -> None:
        """Returns when as many nodes are alive as were added and not removed.

        Raises:
            TimeoutError: it is not so after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        expected = len(self.list_all_nodes())
        while expected != (ask(self._folder, "status")["nodes"] if self.head_node else 0):
            if time.monotonic() > deadline:
                raise TimeoutError("Timed out while waiting for nodes to join.")
            time.sleep(0.1)

    def list_all_nodes(self) -> list[ClusterNode]:
        """All nodes, the head first, the others in the order in which they were added."""
        return [*([self.head_node] if self.head_node else []), *self._order]

    def remaining_processes_alive(self) -> bool:
        """Whether the nodes that were not removed are alive."""
        try:
            return self.head_node is None or bool(ask(self._folder, "status"))
        except ConnectionError:
            return False

    def shutdown(self) -> None:
        """Removes all nodes; drivers call the library's own ``shutdown`` before."""
        for node in list(self._order):
            self.remove_node(node)
        if self.head_node is not None:
            self.remove_node(self.head_node)
        self.connected = False


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a node with their defaults, without what changes nothing."""
    wanted: dict[str, Any] = {
        "num_cpus": 1,
        "num_gpus": 0,
        "resources": None,
        "labels": None,
        "memory": None,
        "object_store_memory": None,
        "node_name": "127.0.0.1",
    }
    for name, value in given.items():
        if name in wanted:
            wanted[name] = wanted[name] if value is None else value
        elif name in _UNAVAILABLE and value is not None:
            raise NotImplementedError(
                f"Cluster.add_node({name}={value!r}) is not available: the nodes of this cluster "
                "share one process."
            )
        elif name not in _IGNORED and name not in _UNAVAILABLE:
            raise TypeError(f"Cluster.add_node() got an unexpected keyword argument {name!r}")
    memory = wanted["memory"]
    if memory is not None and (
        not isinstance(memory, (int, float)) or not 0 <= memory < sys.maxsize
    ):
        raise ValueError(f"Cluster.add_node(memory={memory!r}): expected a number of bytes >= 0.")
    names = ("num_cpus", "num_gpus", "resources", "labels", "object_store_memory")
    options = check_init_options({name: wanted[name] for name in names} | {"address": "local"})
    wanted["resources"], wanted["labels"] = options.resources, options.labels
    wanted["node_name"] = str(wanted["node_name"])
    return wanted
