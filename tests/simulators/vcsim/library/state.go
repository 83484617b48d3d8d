package simulator

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"reflect"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// What a vCenter has in its database: the inventory with its references and UUIDs, the events with their keys, the tags.
// Sessions, collectors and views are not among it, nor is the recent list of tasks: they end with the process.
// The library's own Load knows neither events nor snapshots, and loses which host its managers belong to.

type stateHead struct {
	Counter  int64             `json:"counter"`
	EventKey int32             `json:"event_key"`
	Tags     *tagStore         `json:"tags"`
	Pinned   []string          `json:"pinned"`
	Locals   map[string]string `json:"locals"` // the .log file of each guest
}

type savedEvent struct {
	Event types.BaseEvent `xml:"event,typeattr"`
}

type savedTask struct {
	Task types.TaskInfo `xml:"task"`
}

func init() {
	kinds["HostDatastoreSystem"] = reflect.TypeOf(HostDatastoreSystem{})
	kinds["HostFirewallSystem"] = reflect.TypeOf(HostFirewallSystem{})
	kinds["HostStorageSystem"] = reflect.TypeOf(HostStorageSystem{})
	kinds["VirtualMachineSnapshot"] = reflect.TypeOf(VirtualMachineSnapshot{})
}

// lasting tells whether an object is saved.
func lasting(obj mo.Reference) bool {
	if _, ok := obj.(mo.Entity); ok {
		return true
	}
	switch obj.Reference().Type {
	case "Alarm", "CustomFieldsManager", "EnvironmentBrowser", "HostDatastoreBrowser", "HostDatastoreSystem",
		"HostFirewallSystem", "HostNetworkSystem", "HostStorageSystem", "OptionManager", "VirtualMachineSnapshot":
		return true
	}
	return obj.Reference() == vim25.ServiceInstance
}

func saveState(o *Options) error {
	file, err := os.Create(o.State + ".new")
	if err != nil {
		return err
	}
	defer file.Close()
	buffer := bufio.NewWriterSize(file, 1<<20)
	head := stateHead{Counter: Map.counter, EventKey: Map.EventManager().key, Tags: tags, Locals: map[string]string{}}
	var objects []mo.Reference
	Map.m.Lock()
	for _, obj := range Map.objects {
		if lasting(obj) {
			objects = append(objects, obj)
		}
		if vm, ok := obj.(*VirtualMachine); ok {
			head.Locals[vm.Self.Value] = vm.log
		}
	}
	Map.m.Unlock()
	guests.Lock()
	for ref := range pinned {
		head.Pinned = append(head.Pinned, ref.String())
	}
	guests.Unlock()
	tags.Lock()
	err = json.NewEncoder(buffer).Encode(head)
	tags.Unlock()
	if err != nil {
		return err
	}
	if err = saveObjects(xml.NewEncoder(buffer), objects); err != nil {
		return err
	}
	if err = buffer.Flush(); err != nil {
		return err
	}
	return os.Rename(o.State+".new", o.State)
}

func saveObjects(encoder *xml.Encoder, objects []mo.Reference) error {
	for _, obj := range objects {
		content := types.ObjectContent{Obj: obj.Reference()}
		Map.WithLock(obj, func() {
			value := getManagedObject(obj)
			(&retrieveResult{}).collectAll(internalContext, value, value.Type(), &content)
		})
		if err := encoder.EncodeElement(content, xml.StartElement{Name: xml.Name{Local: "object"}}); err != nil {
			return err
		}
	}
	for _, event := range history.all() {
		if err := encoder.EncodeElement(savedEvent{event}, xml.StartElement{Name: xml.Name{Local: "saved"}}); err != nil {
			return err
		}
	}
	for _, info := range tasksSoFar() {
		if err := encoder.EncodeElement(savedTask{info}, xml.StartElement{Name: xml.Name{Local: "savedTask"}}); err != nil {
			return err
		}
	}
	return encoder.Flush()
}

func loadState(o *Options) error {
	file, err := os.Open(o.State)
	if err != nil {
		return err
	}
	defer file.Close()
	reader := bufio.NewReaderSize(file, 1<<20)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return err
	}
	head := stateHead{Tags: tags}
	if err = json.Unmarshal(line, &head); err != nil {
		return err
	}
	server := NewServiceInstance(o.model.ServiceContent, o.model.RootFolder)
	for ref, obj := range Map.objects {
		if lasting(obj) && ref != vim25.ServiceInstance {
			delete(Map.objects, ref)
		}
	}
	if err = loadObjects(reader, server); err != nil {
		return err
	}
	connectLoaded(&head)
	Map.counter, Map.EventManager().key = head.Counter, head.EventKey
	o.model.Service = New(server)
	return nil
}

func loadObjects(reader io.Reader, server *ServiceInstance) error {
	decoder := xml.NewDecoder(reader)
	decoder.TypeFunc = types.TypeFunc()
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local == "saved" {
			var saved savedEvent
			if err = decoder.DecodeElement(&saved, &start); err != nil {
				return err
			}
			history.events = append(history.events, saved.Event)
			continue
		}
		if start.Name.Local == "savedTask" {
			var saved savedTask
			if err = decoder.DecodeElement(&saved, &start); err != nil {
				return err
			}
			task := new(Task)
			task.Self, task.Info = saved.Task.Task, saved.Task
			taskHistory.tasks = append(taskHistory.tasks, task)
			continue
		}
		var content types.ObjectContent
		if err = decoder.DecodeElement(&content, &start); err != nil {
			return err
		}
		if content.Obj == vim25.ServiceInstance {
			err = mo.LoadObjectContent([]types.ObjectContent{content}, &server.ServiceInstance)
		} else if err = loadOne(content); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
}

func loadOne(content types.ObjectContent) error {
	kind, ours := kinds[content.Obj.Type]
	if !ours {
		obj, err := mo.ObjectContentToType(content, true)
		if err != nil {
			return err
		}
		Map.objects[content.Obj] = obj.(mo.Reference)
		return nil
	}
	obj := reflect.New(kind).Interface().(mo.Reference)
	target := getManagedObject(obj).Addr().Interface()
	if err := mo.LoadObjectContent([]types.ObjectContent{content}, target); err != nil {
		return err
	}
	// Not Put, which says that all is green.
	Map.objects[content.Obj] = obj
	return nil
}

// connectLoaded sets what the library keeps beside the properties.
func connectLoaded(head *stateHead) {
	for _, obj := range Map.objects {
		switch o := obj.(type) {
		case *HostSystem:
			manager := &o.ConfigManager
			Map.objects[*manager.DatastoreSystem].(*HostDatastoreSystem).Host = &o.HostSystem
			Map.objects[*manager.NetworkSystem].(*HostNetworkSystem).Host = &o.HostSystem
			Map.objects[*manager.StorageSystem].(*HostStorageSystem).Host = &o.HostSystem
		case *VirtualMachine:
			o.log = head.Locals[o.Self.Value]
			o.uid = uuid.MustParse(o.Config.Uuid)
			if o.Snapshot != nil {
				for _, ref := range allSnapshotsInTree(o.Snapshot.RootSnapshotList) {
					if item := findSnapshotInTree(o.Snapshot.RootSnapshotList, ref); item.Id > o.sid {
						o.sid = item.Id
					}
				}
			}
		case *CustomFieldsManager:
			for _, field := range o.Field {
				if field.Key >= o.nextKey {
					o.nextKey = field.Key + 1
				}
			}
		case *Datacenter:
			o.isESX = Map.IsESX()
		}
	}
	for _, text := range head.Pinned {
		var ref types.ManagedObjectReference
		if ref.FromString(text) {
			pinned[ref] = true
		}
	}
}
