package simulator

import (
	"bytes"
	"io/ioutil"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// serve answers SOAP, the tags' REST and the control calls of a test on one port.
func serve(o *Options, listener net.Listener) error {
	s := o.model.Service
	s.Listen = &url.URL{Scheme: "https", Host: listener.Addr().String(), Path: vim25.Path, User: o.login}
	s.RegisterSDK(Map)
	s.sdk[vim25.Path+"/vimService"] = Map
	s.ServeMux.HandleFunc(vim25.Path+"/vimService", s.ServeSDK)
	s.ServeMux.HandleFunc(vim25.Path+"/vimServiceVersions.xml", s.ServiceVersions)
	registerVSAN(s)
	registerTags(s)
	mux := http.NewServeMux()
	mux.Handle("/simulator/", control{o})
	mux.Handle("/", front{s.ServeMux})
	return http.Serve(listener, mux)
}

// front is what each call of a client passes: it counts, delays and breaks.
type front struct{ inner http.Handler }

// The method is the first element of the body; requests of all SDKs look like this.
var methodPattern = regexp.MustCompile(`<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)`)

// traffic is what a method cost.
type traffic struct {
	Calls    int     `json:"calls"`
	Faults   int     `json:"faults"`
	BytesIn  int     `json:"bytes_in"`
	BytesOut int     `json:"bytes_out"`
	Seconds  float64 `json:"seconds"`
}

var trafficMutex sync.Mutex
var trafficOf = map[string]*traffic{}

// answer is a response held back until it is complete.
type answer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }

func (f front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	body, err := ioutil.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	r.Body = ioutil.NopCloser(bytes.NewReader(body))
	method := methodName(r, body)
	set := knobs()
	held := &answer{ResponseWriter: w, status: http.StatusOK}
	delay, delayed := either(set.DelaySeconds, method)
	if strike(delayed, method) {
		time.Sleep(seconds(delay))
	}
	if status, ok := set.Status[method]; strike(ok, method) {
		held.status = status
	} else {
		f.inner.ServeHTTP(held, r)
	}
	cut, ok := set.CutBytes[method]
	cutting := strike(ok, method)
	count(method, len(body), held, time.Since(began))
	w.Header().Set("Content-Length", strconv.Itoa(held.body.Len()))
	w.WriteHeader(held.status)
	if !cutting {
		_, _ = w.Write(held.body.Bytes())
		return
	}
	if cut > held.body.Len() {
		cut = held.body.Len()
	}
	_, _ = w.Write(held.body.Bytes()[:cut])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler) // ends the connection without a word
}

func methodName(r *http.Request, body []byte) string {
	if found := methodPattern.FindSubmatch(body); found != nil {
		return string(found[1])
	}
	return r.Method + " " + r.URL.Path
}

func either(values map[string]float64, method string) (float64, bool) {
	if value, ok := values[method]; ok {
		return value, true
	}
	value, ok := values["*"]
	return value, ok
}

func count(method string, in int, held *answer, took time.Duration) {
	trafficMutex.Lock()
	defer trafficMutex.Unlock()
	t := trafficOf[method]
	if t == nil {
		t = new(traffic)
		trafficOf[method] = t
	}
	t.Calls++
	t.BytesIn += in
	t.BytesOut += held.body.Len()
	t.Seconds += took.Seconds()
	if held.status >= http.StatusBadRequest {
		t.Faults++
	}
}

// takeTraffic returns what all methods cost, and begins to count anew if told to.
func takeTraffic(reset bool) map[string]traffic {
	trafficMutex.Lock()
	defer trafficMutex.Unlock()
	taken := make(map[string]traffic, len(trafficOf))
	for method, cost := range trafficOf {
		taken[method] = *cost
	}
	if reset {
		trafficOf = map[string]*traffic{}
	}
	return taken
}

func countSessions(s *Service) int {
	sessionMutex.Lock()
	defer sessionMutex.Unlock()
	return len(s.sm.sessions)
}

// endSessions ends all sessions, with what they watched, as an idle timeout or an administrator does.
func endSessions(s *Service) int {
	sessionMutex.Lock()
	defer sessionMutex.Unlock()
	ended := len(s.sm.sessions)
	for key, session := range s.sm.sessions {
		for ref, obj := range objectsOf(session.Registry) {
			if handler, ok := obj.(RegisterObject); ok && ref.Type != "PropertyCollector" {
				Map.RemoveHandler(handler)
			}
		}
		delete(s.sm.sessions, key)
	}
	return ended
}

// objectsOf returns what a session has now; another call of the session may change it meanwhile.
func objectsOf(r *Registry) map[types.ManagedObjectReference]mo.Reference {
	r.m.Lock()
	defer r.m.Unlock()
	objects := make(map[types.ManagedObjectReference]mo.Reference, len(r.objects))
	for ref, obj := range r.objects {
		objects[ref] = obj
	}
	return objects
}

// serviceInstance has the clock that the knob sets.
type serviceInstance struct{ *ServiceInstance }

func (s serviceInstance) CurrentTime(*types.CurrentTime) soap.HasFault {
	return &methods.CurrentTimeBody{Res: &types.CurrentTimeResponse{Returnval: now()}}
}

// sessionManager leaves the events of failed logins.
type sessionManager struct{ *SessionManager }

func init() {
	addTo(&ServiceInstance{}, func(o mo.Reference) interface{} { return serviceInstance{o.(*ServiceInstance)} })
	addTo(&SessionManager{}, func(o mo.Reference) interface{} { return sessionManager{o.(*SessionManager)} })
}

func (m sessionManager) Login(ctx *Context, r *types.Login) soap.HasFault {
	answer := m.SessionManager.Login(ctx, r)
	if answer.Fault() != nil {
		internalContext.postEvent(&types.BadUsernameSessionEvent{
			SessionEvent: types.SessionEvent{Event: types.Event{UserName: r.UserName}}, IpAddress: ctx.req.RemoteAddr,
		})
	}
	return answer
}
