package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// control is how a test rules the server: none of this is vSphere's.
type control struct{ options *Options }

func (c control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result, err := c.act(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(result)
}

func (c control) act(r *http.Request) (interface{}, error) {
	decode := json.NewDecoder(r.Body)
	decode.DisallowUnknownFields()
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/simulator/") {
	case "PUT knobs":
		set := new(Knobs)
		if err := decode.Decode(set); err != nil {
			return nil, err
		}
		setKnobs(set)
		return set, nil
	case "GET traffic":
		return takeTraffic(r.URL.Query().Get("reset") != ""), nil
	case "POST save":
		return true, saveState(c.options)
	case "GET sessions":
		return countSessions(c.options.model.Service), nil
	case "POST end-sessions":
		return endSessions(c.options.model.Service), nil
	case "PUT password":
		var wanted struct{ Password string }
		if err := decode.Decode(&wanted); err != nil {
			return nil, err
		}
		listen := c.options.model.Service.Listen
		listen.User = url.UserPassword(listen.User.Username(), wanted.Password)
		return true, nil
	case "PUT property":
		var change struct {
			Object, Property string
			Value            json.RawMessage
		}
		if err := decode.Decode(&change); err != nil {
			return nil, err
		}
		return true, setProperty(change.Object, change.Property, change.Value)
	case "PUT alarm":
		var change struct{ Object, Alarm, Status string }
		if err := decode.Decode(&change); err != nil {
			return nil, err
		}
		entity, err := referenceTo(change.Object)
		if err != nil {
			return nil, err
		}
		alarm := types.ManagedObjectReference{Type: "Alarm", Value: change.Alarm}
		return true, raise(entity, alarm, types.ManagedEntityStatus(change.Status))
	case "POST event":
		var wanted struct{ Type, Object, Message string }
		if err := decode.Decode(&wanted); err != nil {
			return nil, err
		}
		return post(wanted.Type, wanted.Object, wanted.Message)
	case "PUT vsan":
		wanted := new(vsanState)
		if err := decode.Decode(wanted); err != nil {
			return nil, err
		}
		setVSAN(wanted)
		return wanted, nil
	}
	return nil, fmt.Errorf("no such control: %s %s", r.Method, r.URL.Path)
}

func referenceTo(text string) (types.ManagedObjectReference, error) {
	var ref types.ManagedObjectReference
	if !ref.FromString(text) || Map.Get(ref) == nil {
		return ref, fmt.Errorf("no object %s", text)
	}
	return ref, nil
}

// setProperty gives a property any value, as JSON, that its type can hold; null unsets it.
func setProperty(object, path string, value json.RawMessage) error {
	ref, err := referenceTo(object)
	if err != nil {
		return err
	}
	obj := Map.Get(ref)
	Map.WithLock(obj, func() {
		field := getManagedObject(obj)
		for _, name := range strings.Split(path, ".") {
			for field.Kind() == reflect.Ptr || field.Kind() == reflect.Interface {
				if field.IsNil() {
					err = fmt.Errorf("%s: %s lies in what is not set", object, path)
					return
				}
				field = field.Elem()
			}
			if field = field.FieldByName(ucFirst(name)); !field.IsValid() {
				err = fmt.Errorf("%s has no property %s", object, path)
				return
			}
		}
		fresh := reflect.New(field.Type())
		if err = json.Unmarshal(value, fresh.Interface()); err == nil {
			field.Set(fresh.Elem())
		}
	})
	if strings.HasPrefix(path, "summary.quickStats") {
		guests.Lock()
		pinned[ref] = true
		guests.Unlock()
	}
	changed()
	return err
}

// post leaves an event of any type about an object and returns its key.
func post(kind, object, message string) (int32, error) {
	found, ok := defaultMapType(kind)
	if !ok {
		return 0, fmt.Errorf("no event type %s", kind)
	}
	event, ok := reflect.New(found).Interface().(types.BaseEvent)
	if !ok {
		return 0, fmt.Errorf("%s is no event", kind)
	}
	ref, err := referenceTo(object)
	if err != nil {
		return 0, err
	}
	base := event.GetEvent()
	switch o := Map.Get(ref).(type) {
	case *VirtualMachine:
		*base = o.event().Event
		if source := reflect.ValueOf(event).Elem().FieldByName("SourceHost"); source.IsValid() {
			source.Set(reflect.ValueOf(*base.Host)) // of migrations
		}
	case *HostSystem:
		*base = o.event().Event
	case mo.Entity:
		base.Datacenter = datacenterEventArgument(o)
	}
	internalContext.postEvent(event)
	if message != "" {
		base.FullFormattedMessage = message
	}
	return base.Key, nil
}
