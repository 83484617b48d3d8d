package simulator

import (
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// The privileges as the vendor's reference names them per method; the ones left out here need System.View or System.Read.
var privileges = map[string]string{
	"AcknowledgeAlarm":             "Alarm.Acknowledge",
	"CreateSnapshot_Task":          "VirtualMachine.State.CreateSnapshot",
	"DisconnectHost_Task":          "Host.Config.Connection",
	"EnterMaintenanceMode_Task":    "Host.Config.Maintenance",
	"ExitMaintenanceMode_Task":     "Host.Config.Maintenance",
	"MarkAsTemplate":               "VirtualMachine.Provisioning.MarkAsTemplate",
	"PowerOffVM_Task":              "VirtualMachine.Interact.PowerOff",
	"PowerOnVM_Task":               "VirtualMachine.Interact.PowerOn",
	"RebootGuest":                  "VirtualMachine.Interact.Reset",
	"ReconnectHost_Task":           "Host.Config.Connection",
	"RegisterVM_Task":              "VirtualMachine.Inventory.Register",
	"RelocateVM_Task":              "Resource.ColdMigrate",
	"MigrateVM_Task":               "Resource.HotMigrate",
	"RemoveAllSnapshots_Task":      "VirtualMachine.State.RemoveSnapshot",
	"RemoveSnapshot_Task":          "VirtualMachine.State.RemoveSnapshot",
	"ResetVM_Task":                 "VirtualMachine.Interact.Reset",
	"RevertToCurrentSnapshot_Task": "VirtualMachine.State.RevertToSnapshot",
	"RevertToSnapshot_Task":        "VirtualMachine.State.RevertToSnapshot",
	"ShutdownGuest":                "VirtualMachine.Interact.PowerOff",
	"StandbyGuest":                 "VirtualMachine.Interact.Suspend",
	"SuspendVM_Task":               "VirtualMachine.Interact.Suspend",
	"TerminateSession":             "Sessions.TerminateSession",
	"UnregisterVM":                 "VirtualMachine.Inventory.Unregister",
	"QueryOptions":                 "System.View",
}

func privilegeOf(method *Method) string {
	privilege, ok := privileges[method.Name]
	if !ok {
		return "System.View"
	}
	if relocate, is := method.Body.(*types.RelocateVM_Task); is {
		if vm, ok := Map.Get(relocate.This).(*VirtualMachine); ok && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			return "Resource.HotMigrate"
		}
	}
	return privilege
}

// authorizationManager answers what the user may do: all but what the knob "without" takes away.
type authorizationManager struct{ *AuthorizationManager }

func init() {
	addTo(&AuthorizationManager{}, func(o mo.Reference) interface{} { return authorizationManager{o.(*AuthorizationManager)} })
}

func granted(privilege string) bool { return !listed(knobs().Without, privilege) }

func (m authorizationManager) HasPrivilegeOnEntities(r *types.HasPrivilegeOnEntities) soap.HasFault {
	answer := m.AuthorizationManager.HasPrivilegeOnEntities(r).(*methods.HasPrivilegeOnEntitiesBody)
	withhold(answer.Res.Returnval)
	return answer
}

func (m authorizationManager) HasUserPrivilegeOnEntities(r *types.HasUserPrivilegeOnEntities) soap.HasFault {
	answer := m.AuthorizationManager.HasUserPrivilegeOnEntities(r).(*methods.HasUserPrivilegeOnEntitiesBody)
	withhold(answer.Res.Returnval)
	return answer
}

func withhold(entities []types.EntityPrivilege) {
	for _, entity := range entities {
		for i := range entity.PrivAvailability {
			entity.PrivAvailability[i].IsGranted = granted(entity.PrivAvailability[i].PrivId)
		}
	}
}

func (m authorizationManager) FetchUserPrivilegeOnEntities(r *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	answer := m.AuthorizationManager.FetchUserPrivilegeOnEntities(r).(*methods.FetchUserPrivilegeOnEntitiesBody)
	for i := range answer.Res.Returnval {
		var kept []string
		for _, privilege := range answer.Res.Returnval[i].Privileges {
			if granted(privilege) {
				kept = append(kept, privilege)
			}
		}
		answer.Res.Returnval[i].Privileges = kept
	}
	return answer
}
