// Drives a Cloudflare API v4 with Cloudflare's own client and fails at the first answer that the client does not take
// as it should. Settings come from the environment: CLOUDFLARE_BASE_URL, CLOUDFLARE_API_TOKEN and ZONE, the name of an
// active zone without records.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/zones"
)

// set fills a request field. The client's helper for it lives in its root package, which would compile all products.
func set(field any, value any) {
	target := reflect.ValueOf(field).Elem()
	slot := target.FieldByName("Value")
	slot.Set(reflect.ValueOf(value).Convert(slot.Type()))
	target.FieldByName("Present").SetBool(true)
}

func check(ok bool, format string, args ...any) {
	if !ok {
		fmt.Fprintf(os.Stderr, "not as expected: "+format+"\n", args...)
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	check(err == nil, "%v", err)
	return value
}

// refused checks status and first code of an API error.
func refused(err error, status int, code int64) {
	var refusal *dns.Error
	check(errors.As(err, &refusal), "an API error, not %v", err)
	check(refusal.StatusCode == status, "status %d, not %d", status, refusal.StatusCode)
	check(len(refusal.Errors) == 1 && refusal.Errors[0].Code == code, "code %d, not %+v", code, refusal.Errors)
}

func cname(name, content, comment string) dns.CNAMERecordParam {
	var record dns.CNAMERecordParam
	set(&record.Name, name)
	set(&record.TTL, 300)
	set(&record.Type, "CNAME")
	set(&record.Content, content)
	set(&record.Comment, comment)
	set(&record.Proxied, false)
	return record
}

func mx(name, content string, priority float64) dns.MXRecordParam {
	var record dns.MXRecordParam
	set(&record.Name, name)
	set(&record.TTL, 1)
	set(&record.Type, "MX")
	set(&record.Content, content)
	set(&record.Priority, priority)
	return record
}

func txt(name, content string) dns.TXTRecordParam {
	var record dns.TXTRecordParam
	set(&record.Name, name)
	set(&record.TTL, 300)
	set(&record.Type, "TXT")
	set(&record.Content, content)
	return record
}

type suite struct {
	ctx     context.Context
	records *dns.RecordService
	zone    string
	name    string
}

func main() {
	base, token, name := os.Getenv("CLOUDFLARE_BASE_URL"), os.Getenv("CLOUDFLARE_API_TOKEN"), os.Getenv("ZONE")
	options := []option.RequestOption{
		option.WithBaseURL(base), option.WithAPIToken(token), option.WithMaxRetries(0),
	}
	s := suite{ctx: context.Background(), records: dns.NewRecordService(options...), name: name}
	s.zone = s.findZone(zones.NewZoneService(options...))
	id := s.create()
	s.batch(id)
	s.list()
	s.errors()
	s.delete()
	fmt.Println("the official client is content")
}

func (s *suite) findZone(service *zones.ZoneService) string {
	var params zones.ZoneListParams
	set(&params.Name, s.name)
	set(&params.Status, "active")
	page := must(service.List(s.ctx, params))
	check(len(page.Result) == 1, "one zone, not %d", len(page.Result))
	found := page.Result[0]
	check(found.Name == s.name && found.Status == zones.ZoneStatusActive, "zone %+v", found)
	check(len(found.NameServers) > 0 && found.Account.ID != "" && !found.CreatedOn.IsZero(), "zone %+v", found)
	var get zones.ZoneGetParams
	set(&get.ZoneID, found.ID)
	check(must(service.Get(s.ctx, get)).ID == found.ID, "the same zone by its id")
	return found.ID
}

func (s *suite) create() string {
	var params dns.RecordNewParams
	set(&params.ZoneID, s.zone)
	params.Body = cname("one."+s.name, "one.target.example", "made by a client")
	made := must(s.records.New(s.ctx, params))
	check(made.Type == dns.RecordResponseTypeCNAME && made.Content == "one.target.example", "record %+v", made)
	check(made.Comment == "made by a client" && made.TTL == 300 && made.Proxiable, "record %+v", made)
	check(!made.CreatedOn.IsZero() && !made.ModifiedOn.IsZero(), "times in %+v", made)
	union, typed := made.AsUnion().(dns.RecordResponseCNAME)
	check(typed && union.ID == made.ID, "a CNAME as union, not %T", made.AsUnion())

	var edit dns.RecordEditParams
	set(&edit.ZoneID, s.zone)
	edit.Body = cname("one."+s.name, "two.target.example", "edited")
	edited := must(s.records.Edit(s.ctx, made.ID, edit))
	check(edited.ID == made.ID && edited.Content == "two.target.example", "record %+v", edited)
	var get dns.RecordGetParams
	set(&get.ZoneID, s.zone)
	check(must(s.records.Get(s.ctx, made.ID, get)).Comment == "edited", "the edit is read back")
	return made.ID
}

func (s *suite) batch(id string) {
	patch := dns.BatchPatchCNAMERecordParam{CNAMERecordParam: cname("one."+s.name, "three.target.example", "patched")}
	set(&patch.ID, id)
	var params dns.RecordBatchParams
	set(&params.ZoneID, s.zone)
	set(&params.Patches, []dns.BatchPatchUnionParam{patch})
	set(&params.Posts, []dns.RecordBatchParamsPostUnion{
		mx("bounce."+s.name, "feedback.target.example", 10),
		txt("bounce."+s.name, "\"v=spf1 -all\""),
	})
	done := must(s.records.Batch(s.ctx, params))
	check(len(done.Patches) == 1 && done.Patches[0].Content == "three.target.example", "patches %+v", done.Patches)
	check(len(done.Posts) == 2 && done.Posts[0].Priority == 10, "posts %+v", done.Posts)
}

// listed gives the contents of all records with a name that ends so, one to a page.
func (s *suite) listed(suffix string) map[string]string {
	var name dns.RecordListParamsName
	set(&name.Endswith, suffix)
	var params dns.RecordListParams
	set(&params.ZoneID, s.zone)
	set(&params.Name, name)
	set(&params.PerPage, 1)
	contents := map[string]string{}
	pages := s.records.ListAutoPaging(s.ctx, params)
	for pages.Next() {
		contents[string(pages.Current().Type)] = pages.Current().Content
	}
	check(pages.Err() == nil, "%v", pages.Err())
	return contents
}

func (s *suite) list() {
	all := s.listed("." + s.name)
	check(len(all) == 3 && all["CNAME"] == "three.target.example", "three records, not %v", all)
	some := s.listed("bounce." + s.name)
	check(len(some) == 2 && some["TXT"] == "\"v=spf1 -all\"", "two records, not %v", some)
}

func (s *suite) errors() {
	var params dns.RecordNewParams
	set(&params.ZoneID, s.zone)
	params.Body = cname("one."+s.name, "other.target.example", "")
	_, err := s.records.New(s.ctx, params)
	refused(err, 400, 81053)

	var batch dns.RecordBatchParams
	set(&batch.ZoneID, s.zone)
	set(&batch.Posts, []dns.RecordBatchParamsPostUnion{txt("new."+s.name, "x"), cname("bad."+s.name, "not a host", "")})
	_, err = s.records.Batch(s.ctx, batch)
	refused(err, 400, 9007)
	check(len(s.listed("."+s.name)) == 3, "nothing of a failed batch stays")

	stranger := dns.NewRecordService(append(s.records.Options, option.WithAPIToken("0123456789012345678901234567890123456789"))...)
	_, err = stranger.New(s.ctx, params)
	refused(err, 403, 9109)
}

func (s *suite) delete() {
	var params dns.RecordListParams
	set(&params.ZoneID, s.zone)
	for _, record := range must(s.records.List(s.ctx, params)).Result {
		var body dns.RecordDeleteParams
		set(&body.ZoneID, s.zone)
		gone := must(s.records.Delete(s.ctx, record.ID, body))
		check(gone.ID == record.ID, "the id of the deleted record, not %+v", gone)
		_, err := s.records.Delete(s.ctx, record.ID, body)
		refused(err, 404, 81044)
	}
	check(len(must(s.records.List(s.ctx, params)).Result) == 0, "no record is left")
}
