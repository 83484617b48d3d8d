"""The vendor's events by the names of their classes (or of their eventTypeId), in our words and with what they matter.

The one promise: one table; what is not in it is `vsphere.<its_name>`, and matters by the vendor's severity, or by its
name where the vendor gives none.
"""

import re
from collections.abc import Mapping
from typing import Final

from shared.model import Severity

_INFO, _WARNING, _CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
_TYPE_LIMIT: Final = 100  # characters of a type
_BAD: Final = re.compile(
    r"fail|error|lost|denied|conflict|violation|insufficient|expired|unavailable|problem", re.IGNORECASE
)
_VENDORS: Final[Mapping[str, Severity]] = {"error": _CRITICAL, "warning": _WARNING}
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
ALARM_SEVERITY: Final[Mapping[str, Severity]] = {"red": _CRITICAL, "yellow": _WARNING}

_INFOS: Final[Mapping[str, str]] = {
    # what a guest does
    "VmStartingEvent": "guest.starting",
    "VmPoweredOnEvent": "guest.started",
    "DrsVmPoweredOnEvent": "guest.started",
    "VmStoppingEvent": "guest.stopping",
    "VmPoweredOffEvent": "guest.stopped",
    "VmSuspendingEvent": "guest.suspending",
    "VmSuspendedEvent": "guest.suspended",
    "VmResumingEvent": "guest.resuming",
    "VmResettingEvent": "guest.reset",
    "VmGuestRebootEvent": "guest.rebooted",
    "VmGuestShutdownEvent": "guest.shutdown",
    "VmGuestStandbyEvent": "guest.standby",
    # where it is and what it is
    "VmBeingMigratedEvent": "guest.migrating",
    "VmBeingHotMigratedEvent": "guest.migrating",
    "VmEmigratingEvent": "guest.migrating",
    "VmMigratedEvent": "guest.migrated",
    "DrsVmMigratedEvent": "guest.migrated",
    "VmBeingRelocatedEvent": "guest.relocating",
    "VmRelocatedEvent": "guest.relocated",
    "VmBeingCreatedEvent": "guest.creating",
    "VmCreatedEvent": "guest.created",
    "VmBeingClonedEvent": "guest.cloning",
    "VmBeingClonedNoFolderEvent": "guest.cloning",
    "VmClonedEvent": "guest.cloned",
    "VmBeingDeployedEvent": "guest.deploying",
    "VmDeployedEvent": "guest.deployed",
    "VmRegisteredEvent": "guest.registered",
    "VmDiscoveredEvent": "guest.discovered",
    "VmRemovedEvent": "guest.removed",
    "VmRenamedEvent": "guest.renamed",
    "VmAutoRenameEvent": "guest.renamed",
    "VmReconfiguredEvent": "guest.reconfigured",
    "VmResourcePoolMovedEvent": "guest.moved",
    "VmResourceReallocatedEvent": "guest.reconfigured",
    "VmConnectedEvent": "guest.connected",
    "VmRemoteConsoleConnectedEvent": "guest.console_opened",
    "VmRemoteConsoleDisconnectedEvent": "guest.console_closed",
    # hosts
    "HostAddedEvent": "host.added",
    "HostRemovedEvent": "host.removed",
    "HostConnectedEvent": "host.connected",
    "EnteringMaintenanceModeEvent": "host.maintenance_entering",
    "EnteredMaintenanceModeEvent": "host.maintenance_entered",
    "ExitMaintenanceModeEvent": "host.maintenance_left",
    "EnteringStandbyModeEvent": "host.standby_entering",
    "DrsEnteringStandbyModeEvent": "host.standby_entering",
    "EnteredStandbyModeEvent": "host.standby_entered",
    "DrsEnteredStandbyModeEvent": "host.standby_entered",
    "ExitedStandbyModeEvent": "host.standby_left",
    "DrsExitedStandbyModeEvent": "host.standby_left",
    "HostShutdownEvent": "host.shutdown",
    "HostDasEnabledEvent": "host.ha_enabled",
    "HostDasOkEvent": "host.ha_ok",
    # clusters, with HA and DRS
    "ClusterCreatedEvent": "cluster.created",
    "ClusterDestroyedEvent": "cluster.removed",
    "ClusterReconfiguredEvent": "cluster.reconfigured",
    "DasEnabledEvent": "cluster.ha_enabled",
    "DasAdmissionControlEnabledEvent": "cluster.ha_admission_enabled",
    "DasAgentFoundEvent": "cluster.ha_agent_found",
    "DrsEnabledEvent": "cluster.drs_enabled",
    "DrsRecoveredFromFailureEvent": "cluster.drs_recovered",
    "DrsRuleComplianceEvent": "guest.drs_rule_kept",
    # storage, networks, pools, permissions
    "VMFSDatastoreCreatedEvent": "datastore.created",
    "NASDatastoreCreatedEvent": "datastore.created",
    "LocalDatastoreCreatedEvent": "datastore.created",
    "VMFSDatastoreExpandedEvent": "datastore.grown",
    "VMFSDatastoreExtendedEvent": "datastore.grown",
    "DatastoreCapacityIncreasedEvent": "datastore.grown",
    "DatastoreDestroyedEvent": "datastore.removed",
    "DatastoreRenamedEvent": "datastore.renamed",
    "DVPortgroupCreatedEvent": "network.created",
    "DVPortgroupDestroyedEvent": "network.removed",
    "DVPortgroupReconfiguredEvent": "network.reconfigured",
    "DVPortgroupRenamedEvent": "network.renamed",
    "ResourcePoolCreatedEvent": "pool.created",
    "ResourcePoolDestroyedEvent": "pool.removed",
    "ResourcePoolReconfiguredEvent": "pool.reconfigured",
    "PermissionAddedEvent": "permission.added",
    "PermissionUpdatedEvent": "permission.changed",
    "PermissionRemovedEvent": "permission.removed",
    # sessions, alarms, tasks
    "UserLoginSessionEvent": "user.logged_in",
    "AlreadyAuthenticatedSessionEvent": "user.logged_in",
    "UserLogoutSessionEvent": "user.logged_out",
    "SessionTerminatedEvent": "user.logged_out",
    "AlarmStatusChangedEvent": "alarm.changed",
    "AlarmAcknowledgedEvent": "alarm.acknowledged",
    "AlarmClearedEvent": "alarm.cleared",
    "AlarmCreatedEvent": "alarm.created",
    "AlarmReconfiguredEvent": "alarm.reconfigured",
    "AlarmRemovedEvent": "alarm.removed",
    "TaskEvent": "task.started",
    "com.vmware.vc.HA.ClusterFailoverActionCompletedEvent": "cluster.ha_failover_completed",
    "com.vmware.vc.HA.HostStateChangedEvent": "host.ha_state_changed",
    "com.vmware.vc.ha.VmRestartedByHAEvent": "guest.restarted_by_ha",
    "com.vmware.vc.HA.VmProtectedEvent": "guest.ha_protected",
    "com.vmware.sso.LoginSuccess": "user.logged_in",
    "com.vmware.sso.Logout": "user.logged_out",
}  # fmt: skip
_WARNINGS: Final[Mapping[str, str]] = {
    "VmRestartedOnAlternateHostEvent": "guest.restarted_by_ha",
    "VmDasBeingResetEvent": "guest.reset_by_ha",
    "VmDasBeingResetWithScreenshotEvent": "guest.reset_by_ha",
    "VmShutdownOnIsolationEvent": "guest.stopped_by_ha",
    "VmPowerOffOnIsolationEvent": "guest.stopped_by_ha",
    "VmPrimaryFailoverEvent": "guest.failed_over",
    "VmFailedToPowerOnEvent": "guest.start_failed",
    "NotEnoughResourcesToStartVmEvent": "guest.start_failed",
    "VmFailedToPowerOffEvent": "guest.stop_failed",
    "VmFailedToResetEvent": "guest.reset_failed",
    "VmFailedToSuspendEvent": "guest.suspend_failed",
    "VmFailedToShutdownGuestEvent": "guest.shutdown_failed",
    "VmFailedToRebootGuestEvent": "guest.reboot_failed",
    "VmFailedToStandbyGuestEvent": "guest.standby_failed",
    "VmFailedMigrateEvent": "guest.migrate_failed",
    "VmRelocateFailedEvent": "guest.relocate_failed",
    "VmCloneFailedEvent": "guest.clone_failed",
    "VmDeployFailedEvent": "guest.deploy_failed",
    "VmDasResetFailedEvent": "guest.reset_by_ha_failed",
    "VmDisconnectedEvent": "guest.disconnected",
    "VmUuidConflictEvent": "guest.uuid_conflict",
    "VmInstanceUuidConflictEvent": "guest.uuid_conflict",
    "VmMacConflictEvent": "guest.mac_conflict",
    "VmStaticMacConflictEvent": "guest.mac_conflict",
    "VmMessageWarningEvent": "guest.message",
    "DrsRuleViolationEvent": "guest.drs_rule_violated",
    "DrsSoftRuleViolationEvent": "guest.drs_rule_violated",
    "HostDisconnectedEvent": "host.disconnected",
    "HostAddFailedEvent": "host.add_failed",
    "HostReconnectionFailedEvent": "host.connect_failed",
    "HostCnxFailedEvent": "host.connect_failed",
    "HostDasDisabledEvent": "host.ha_disabled",
    "HostNoRedundantManagementNetworkEvent": "host.ha_network_not_redundant",
    "DasDisabledEvent": "cluster.ha_disabled",
    "DasAdmissionControlDisabledEvent": "cluster.ha_admission_disabled",
    "DrsDisabledEvent": "cluster.drs_disabled",
    "DrsInvocationFailedEvent": "cluster.drs_failed",
    "ClusterOvercommittedEvent": "cluster.overcommitted",
    "DatastoreRemovedOnHostEvent": "datastore.removed_on_host",
    "DuplicateIpDetectedEvent": "network.duplicate_ip",
    "DvsPortLinkDownEvent": "network.port_down",
    "BadUsernameSessionEvent": "user.login_failed",
    "NoAccessUserEvent": "user.login_failed",
    "com.vmware.sso.LoginFailure": "user.login_failed",
    "TaskTimeoutEvent": "task.timed_out",
    "ScheduledTaskFailedEvent": "task.failed",
    "com.vmware.vc.HA.ClusterFailoverActionInitiatedEvent": "cluster.ha_failover_started",
    "com.vmware.vc.HA.VmNotProtectedEvent": "guest.ha_unprotected",
    "com.vmware.vc.HA.VmDasResetAbortedEvent": "guest.reset_by_ha_failed",
}  # fmt: skip
_CRITICALS: Final[Mapping[str, str]] = {
    "VmGuestOSCrashedEvent": "guest.crashed",
    "VmDiskFailedEvent": "guest.disk_failed",
    "VmConfigMissingEvent": "guest.config_missing",
    "VmOrphanedEvent": "guest.orphaned",
    "VmNoNetworkAccessEvent": "guest.no_network",
    "VmMessageErrorEvent": "guest.message",
    "HostConnectionLostEvent": "host.connection_lost",
    "HostDasErrorEvent": "host.ha_failed",
    "DasHostFailedEvent": "host.failed",
    "DasHostIsolatedEvent": "host.isolated",
    "DasClusterIsolatedEvent": "cluster.isolated",
    "DasAgentUnavailableEvent": "cluster.ha_agent_unavailable",
    "InsufficientFailoverResourcesEvent": "cluster.ha_resources_insufficient",
    "com.vmware.vc.HA.DasHostFailedEvent": "host.failed",
    "com.vmware.vc.HA.DasHostIsolatedEvent": "host.isolated",
    "com.vmware.vc.HA.DasHostCompleteNetworkFailureEvent": "host.network_lost",
    "com.vmware.vc.HA.DasHostCompleteDatastoreFailureEvent": "host.storage_lost",
    "esx.problem.storage.connectivity.lost": "host.storage_lost",
    "esx.problem.net.connectivity.lost": "host.network_lost",
}  # fmt: skip
_TABLE: Final[Mapping[str, tuple[str, Severity]]] = {
    name: (ours, severity)
    for names, severity in ((_INFOS, _INFO), (_WARNINGS, _WARNING), (_CRITICALS, _CRITICAL))
    for name, ours in names.items()
}


def event_type(name: str, vendors: str | None = None) -> tuple[str, Severity]:
    """Return our type for a class or an eventTypeId, and how much it matters; vendors is the vendor's own severity."""
    known = _TABLE.get(name)
    if known is not None:
        return known
    plain = re.sub(r"[^a-z0-9._]", "_", _WORDS.sub("_", name[:_TYPE_LIMIT]).lower())
    severity = _VENDORS.get(vendors, _INFO) if vendors else _WARNING if _BAD.search(name) else _INFO
    return f"vsphere.{plain or 'event'}"[:_TYPE_LIMIT], severity
