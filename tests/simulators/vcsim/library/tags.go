package simulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/types"
)

// Tags and categories over REST as a vCenter 7.0 and newer has them (/api): the library knows the older /rest paths only.
// Written from the vendor's vSphere Automation API reference: /api/session, /api/cis/tagging/{category,tag,tag-association}.

type category struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Cardinality string   `json:"cardinality"`
	Types       []string `json:"associable_types"`
}

type tag struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	CategoryID  string `json:"category_id"`
}

type tagged struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// tagStore is saved with the inventory.
type tagStore struct {
	sync.Mutex
	Categories map[string]category        `json:"categories"`
	Tags       map[string]tag             `json:"tags"`
	Attached   map[string]map[string]bool `json:"attached"` // "VirtualMachine:vm-1": tag ids
}

var tags = &tagStore{Categories: map[string]category{}, Tags: map[string]tag{}, Attached: map[string]map[string]bool{}}

// tagAPI answers one path below /api; logins are its own, as on a vCenter.
type tagAPI struct {
	service  *Service
	sessions map[string]bool
}

func registerTags(s *Service) { s.ServeMux.Handle("/api/", &tagAPI{s, map[string]bool{}}) }

type restError struct {
	status int
	kind   string
}

func (a *tagAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tags.Lock()
	defer tags.Unlock()
	w.Header().Set("Content-Type", "application/json")
	result, fault := a.answer(r)
	if fault != nil {
		w.WriteHeader(fault.status)
		result = map[string]interface{}{"error_type": fault.kind, "messages": []string{}}
	} else if r.Method == http.MethodPost && r.URL.Query().Get("action") == "" {
		w.WriteHeader(http.StatusCreated)
	}
	if result != nil {
		_ = json.NewEncoder(w).Encode(result)
	}
}

func (a *tagAPI) answer(r *http.Request) (interface{}, *restError) {
	if r.URL.Path == "/api/session" && r.Method == http.MethodPost {
		user, password, _ := r.BasicAuth()
		expected, _ := a.service.Listen.User.Password()
		if user != a.service.Listen.User.Username() || password != expected {
			return nil, &restError{http.StatusUnauthorized, "UNAUTHENTICATED"}
		}
		key := uuid.New().String()
		a.sessions[key] = true
		return key, nil
	}
	key := r.Header.Get("vmware-api-session-id")
	if !a.sessions[key] {
		return nil, &restError{http.StatusUnauthorized, "UNAUTHENTICATED"}
	}
	if r.URL.Path == "/api/session" && r.Method == http.MethodDelete {
		delete(a.sessions, key)
		return nil, nil
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/cis/tagging/"), "/")
	switch parts[0] {
	case "category":
		return a.category(r, parts[1:])
	case "tag":
		return a.tag(r, parts[1:])
	case "tag-association":
		return a.association(r, parts[1:])
	}
	return nil, &restError{http.StatusNotFound, "NOT_FOUND"}
}

func (a *tagAPI) category(r *http.Request, id []string) (interface{}, *restError) {
	switch {
	case len(id) == 0 && r.Method == http.MethodPost:
		var made category
		if json.NewDecoder(r.Body).Decode(&made) != nil || made.Name == "" {
			return nil, &restError{http.StatusBadRequest, "INVALID_ARGUMENT"}
		}
		made.ID = "urn:vmomi:InventoryServiceCategory:" + uuid.New().String() + ":GLOBAL"
		tags.Categories[made.ID] = made
		return made.ID, nil
	case len(id) == 0:
		ids := []string{}
		for key := range tags.Categories {
			ids = append(ids, key)
		}
		return ids, nil
	}
	if found, ok := tags.Categories[id[0]]; ok {
		return found, nil
	}
	return nil, &restError{http.StatusNotFound, "NOT_FOUND"}
}

func (a *tagAPI) tag(r *http.Request, id []string) (interface{}, *restError) {
	switch {
	case len(id) == 0 && r.Method == http.MethodPost:
		var made tag
		if json.NewDecoder(r.Body).Decode(&made) != nil || tags.Categories[made.CategoryID].ID == "" {
			return nil, &restError{http.StatusBadRequest, "INVALID_ARGUMENT"}
		}
		made.ID = "urn:vmomi:InventoryServiceTag:" + uuid.New().String() + ":GLOBAL"
		tags.Tags[made.ID] = made
		return made.ID, nil
	case len(id) == 0:
		ids := []string{}
		for key := range tags.Tags {
			ids = append(ids, key)
		}
		return ids, nil
	}
	if found, ok := tags.Tags[id[0]]; ok {
		return found, nil
	}
	return nil, &restError{http.StatusNotFound, "NOT_FOUND"}
}

// association attaches a tag, or lists the tags of many objects at once.
func (a *tagAPI) association(r *http.Request, id []string) (interface{}, *restError) {
	var body struct {
		Object  tagged   `json:"object_id"`
		Objects []tagged `json:"object_ids"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return nil, &restError{http.StatusBadRequest, "INVALID_ARGUMENT"}
	}
	action := r.URL.Query().Get("action")
	key := body.Object.Type + ":" + body.Object.ID
	switch {
	case len(id) == 1 && (action == "attach" || action == "detach"):
		if tags.Tags[id[0]].ID == "" || Map.Get(types.ManagedObjectReference{Type: body.Object.Type, Value: body.Object.ID}) == nil {
			return nil, &restError{http.StatusNotFound, "NOT_FOUND"}
		}
		if tags.Attached[key] == nil {
			tags.Attached[key] = map[string]bool{}
		}
		tags.Attached[key][id[0]] = true
		if action == "detach" {
			delete(tags.Attached[key], id[0])
		}
		return nil, nil
	case len(id) == 0 && action == "list-attached-tags-on-objects":
		answer := []map[string]interface{}{}
		for _, object := range body.Objects {
			ids := []string{}
			for tagID := range tags.Attached[object.Type+":"+object.ID] {
				ids = append(ids, tagID)
			}
			if len(ids) > 0 {
				answer = append(answer, map[string]interface{}{"object_id": object, "tag_ids": ids})
			}
		}
		return answer, nil
	}
	return nil, &restError{http.StatusNotFound, "NOT_FOUND"}
}
