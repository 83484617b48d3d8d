package simulator

import (
	"math"
	"reflect"
	"time"
)

const fingerprintPrime = 1099511628211 // FNV-1a's

// fingerprint returns a number that differs, but for one case in 2**64, where two values differ anywhere below.
func fingerprint(value interface{}) uint64 {
	return mixed(14695981039346656037, reflect.ValueOf(value)) | 1 // 0 stands for a property that may not be read
}

func mix(sum uint64, bits uint64) uint64 { return (sum ^ bits ^ bits>>29) * fingerprintPrime }

func mixString(sum uint64, text string) uint64 {
	for i := 0; i < len(text); i++ {
		sum = (sum ^ uint64(text[i])) * fingerprintPrime
	}
	return mix(sum, uint64(len(text)))
}

var timeType = reflect.TypeOf(time.Time{})

func mixed(sum uint64, v reflect.Value) uint64 {
	switch v.Kind() {
	case reflect.Invalid:
		return mix(sum, 1)
	case reflect.Ptr, reflect.Interface:
		if v.IsNil() {
			return mix(sum, 2)
		}
		if v.Kind() == reflect.Interface {
			sum = mixString(sum, v.Elem().Type().String())
		}
		return mixed(mix(sum, 3), v.Elem())
	case reflect.Struct:
		if v.Type() == timeType {
			return mix(sum, uint64(v.Interface().(time.Time).UnixNano()))
		}
		for i := 0; i < v.NumField(); i++ {
			sum = mixed(sum, v.Field(i))
		}
		return sum
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len(); i++ {
			sum = mixed(sum, v.Index(i))
		}
		return mix(sum, uint64(v.Len()))
	case reflect.String:
		return mixString(sum, v.String())
	case reflect.Bool:
		if v.Bool() {
			return mix(sum, 4)
		}
		return mix(sum, 5)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return mix(sum, uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return mix(sum, v.Uint())
	case reflect.Float32, reflect.Float64:
		return mix(sum, math.Float64bits(v.Float()))
	}
	panic("a property holds a " + v.Kind().String())
}
