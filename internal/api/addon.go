package api

import (
	"strings"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

// planOf gives a plan of the catalogue in the view's terms. One that is not in
// it any more shows its name.
func planOf(service, plan string) (view.ServiceInfo, view.PlanInfo) {
	s, p, err := addons.FindPlan(service + ":" + plan)
	if err != nil {
		return view.ServiceInfo{Name: service, Human: service}, view.PlanInfo{Service: service, Name: service + ":" + plan, Human: plan}
	}
	return serviceInfo(s), planInfo(s, p)
}

func serviceInfo(s addons.Service) view.ServiceInfo {
	return view.ServiceInfo{Name: s.Name, Human: s.HumanName}
}

func planInfo(s addons.Service, p addons.Plan) view.PlanInfo {
	return view.PlanInfo{
		Service: s.Name, Name: s.Name + ":" + p.Name, Human: p.HumanName, Description: p.Description,
		Default: p.Name == s.Plans[0].Name,
	}
}

func (c *call) presentAddon(_ *query.Reader, x query.Addon) (view.Addon, error) {
	context := view.AddonContext{App: x.App, Team: x.Team}
	if context.App == nil {
		// Its app is gone; what is left of it is being disposed of.
		context.App = &document.App{Base: document.Base{ID: x.Addon.App}}
	}
	context.Service, context.Plan = planOf(x.Service, x.Plan)
	for _, at := range x.Attachments {
		if at.App == x.Addon.App {
			context.ConfigVars = append(context.ConfigVars, configVar(at))
		}
	}
	return c.cfg.Site.OfAddon(x.Addon, context, c.expand()), nil
}

// configVar is the name that an attachment sets.
func configVar(at *document.Attachment) string { return at.Name + "_URL" }

var addonProperties = []property[view.Addon]{
	{name: "id", text: func(x view.Addon) string { return x.ID }},
	{name: "name", text: func(x view.Addon) string { return x.Name }},
}

func listAddons(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Addons, c.presentAddon, addonProperties...)
}

func listAppAddons(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.Addon, error) {
		a, err := c.app(q)
		if err != nil {
			return nil, err
		}
		return q.AddonsOf(a)
	}, c.presentAddon, addonProperties...)
}

func listTeamAddons(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.Addon, error) {
		t, err := c.team(q)
		if err != nil {
			return nil, err
		}
		return q.AddonsOfTeam(t)
	}, c.presentAddon, addonProperties...)
}

// getAddon answers with and without an app in the path.
func getAddon(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Addon, error) {
		x, err := q.Addon(c.path("addon"), c.path("app"), c.route.Need)
		if err != nil {
			return view.Addon{}, err
		}
		return c.presentAddon(q, x)
	}))
}

func createAddon(c *call) (Answer, error) {
	var in struct {
		Plan       ref    `json:"plan"`
		Name       string `json:"name"`
		Attachment struct {
			Name string `json:"name"`
		} `json:"attachment"`
		Config map[string]nullable `json:"config"`
		EPHI   string              `json:"ephi"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if err := checkAddonConfig(in.Config, string(in.Plan)); err != nil {
		return Answer{}, err
	}
	cmd := &addons.Create{App: c.path("app"), Plan: planName(string(in.Plan)), Name: in.Name, As: in.Attachment.Name, EPHI: in.EPHI}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(c.addonNow(cmd.Addon.ID))
}

// markAddon says whether an add-on holds ePHI.
func markAddon(c *call) (Answer, error) {
	var in struct {
		EPHI string `json:"ephi"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &addons.Mark{Identity: c.path("addon"), EPHI: in.EPHI}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(c.addonNow(cmd.Addon.ID))
}

// planName resolves the id of a plan.
func planName(identity string) string {
	for _, s := range addons.Services {
		for _, p := range s.Plans {
			if name := s.Name + ":" + p.Name; identity == view.BuiltIn("plan", name) {
				return name
			}
		}
	}
	return identity
}

// checkAddonConfig lets a version be named that is the plan's anyway, and
// refuses every option that would be ignored.
func checkAddonConfig(config map[string]nullable, plan string) error {
	for name, v := range config {
		_, p, err := addons.FindPlan(planName(plan))
		if err != nil {
			return err
		}
		if name != "version" || v.Value != p.Version {
			return fault.New(fault.Invalid, "%s does not know the option --%s %s. Its version is %s.", p.HumanName, clip(name), clip(v.Value), p.Version)
		}
	}
	return nil
}

// addonNow shows an add-on as a command left it.
func (c *call) addonNow(id string) (view.Addon, error) {
	return show(c, func(q *query.Reader) (view.Addon, error) {
		x, err := q.Addon(id, "", authz.AppView)
		if err != nil {
			return view.Addon{}, err
		}
		return c.presentAddon(q, x)
	})
}

func destroyAddon(c *call) (Answer, error) {
	// The body's "force" has no meaning here: what is refused stays refused.
	x, err := show(c, func(q *query.Reader) (query.Addon, error) {
		return q.Addon(c.path("addon"), c.path("app"), authz.AppView)
	})
	if err != nil {
		return Answer{}, err
	}
	if err := c.execute(&addons.Destroy{Identity: x.ID}); err != nil {
		return Answer{}, err
	}
	return ok(c.addonNow(x.ID))
}

func resolveAddons(c *call) (Answer, error) {
	var in struct {
		Addon   string `json:"addon"`
		App     ref    `json:"app"`
		Service ref    `json:"addon_service"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	out := []view.Addon{}
	err := c.read(func(q *query.Reader) error {
		list, err := q.ResolveAddons(in.Addon, string(in.App))
		if err != nil {
			return err
		}
		for _, x := range list {
			if in.Service != "" && x.Service != string(in.Service) {
				continue
			}
			shown, err := c.presentAddon(q, x)
			if err != nil {
				return err
			}
			out = append(out, shown)
		}
		return nil
	})
	return ok(out, err)
}

func (c *call) presentAttachment(_ *query.Reader, at query.Attachment) (view.Attachment, error) {
	_, plan := planOf(at.Addon.Service, at.Addon.Plan)
	return c.cfg.Site.OfAttachment(at.Attachment, view.AttachmentContext{
		App: at.App, Addon: at.Addon.Addon, AddonApp: at.Addon.App, Plan: plan, ConfigVars: []string{configVar(at.Attachment)},
	}, c.include()), nil
}

var attachmentProperties = []property[view.Attachment]{
	{name: "id", text: func(x view.Attachment) string { return x.ID }},
}

func listAttachments(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Attachments, c.presentAttachment, attachmentProperties...)
}

func listAppAttachments(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.Attachment, error) {
		a, err := c.app(q)
		if err != nil {
			return nil, err
		}
		return q.AttachmentsOf(a)
	}, c.presentAttachment, attachmentProperties...)
}

func listAddonAttachments(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.Attachment, error) {
		x, err := q.Addon(c.path("addon"), "", c.route.Need)
		if err != nil {
			return nil, err
		}
		return q.AttachmentsTo(x)
	}, c.presentAttachment, attachmentProperties...)
}

func getAttachment(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Attachment, error) {
		at, err := q.Attachment(c.path("attachment"))
		if err != nil {
			return view.Attachment{}, err
		}
		return c.presentAttachment(q, at)
	}))
}

func getAppAttachment(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Attachment, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Attachment{}, err
		}
		at, err := q.AttachmentOf(a, c.path("attachment"))
		if err != nil {
			return view.Attachment{}, err
		}
		return c.presentAttachment(q, at)
	}))
}

func attachAddon(c *call) (Answer, error) {
	var in struct {
		Addon     ref      `json:"addon"`
		App       ref      `json:"app"`
		Name      string   `json:"name"`
		Namespace nullable `json:"namespace"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if ns := in.Namespace.Value; ns != "" && ns != "credential:"+addons.DefaultCredential {
		return Answer{}, fault.New(fault.Invalid, "There is one credential: %s.", addons.DefaultCredential)
	}
	// Both ends must be seen before anything is said about either.
	if err := c.read(func(q *query.Reader) error {
		if _, err := q.App(string(in.App), authz.AppView); err != nil {
			return err
		}
		_, err := q.Addon(string(in.Addon), string(in.App), authz.AppView)
		return err
	}); err != nil {
		return Answer{}, err
	}
	cmd := &addons.Attach{Addon: string(in.Addon), App: string(in.App), As: in.Name}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(show(c, func(q *query.Reader) (view.Attachment, error) {
		at, err := q.Attachment(cmd.Attachment.ID)
		if err != nil {
			return view.Attachment{}, err
		}
		return c.presentAttachment(q, at)
	}))
}

func detachAddon(c *call) (Answer, error) {
	was, err := show(c, func(q *query.Reader) (view.Attachment, error) {
		at, err := q.Attachment(c.path("attachment"))
		if err != nil {
			return view.Attachment{}, err
		}
		return c.presentAttachment(q, at)
	})
	if err != nil {
		return Answer{}, err
	}
	return ok(was, c.execute(&addons.Detach{ID: was.ID}))
}

func resolveAttachments(c *call) (Answer, error) {
	var in struct {
		Attachment string `json:"addon_attachment"`
		App        ref    `json:"app"`
		Service    ref    `json:"addon_service"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	out := []view.Attachment{}
	err := c.read(func(q *query.Reader) error {
		list, err := q.ResolveAttachments(in.Attachment, string(in.App))
		if err != nil {
			return err
		}
		for _, at := range list {
			if in.Service != "" && at.Addon.Service != string(in.Service) {
				continue
			}
			shown, err := c.presentAttachment(q, at)
			if err != nil {
				return err
			}
			out = append(out, shown)
		}
		return nil
	})
	return ok(out, err)
}

func listServices(c *call) (Answer, error) {
	out := []view.Service{}
	for _, s := range addons.Services {
		out = append(out, c.cfg.Site.OfService(serviceInfo(s)))
	}
	return ok(out, nil)
}

func findService(identity string) (addons.Service, error) {
	for _, s := range addons.Services {
		if s.Name == identity || view.BuiltIn("addon-service", s.Name) == identity {
			return s, nil
		}
	}
	return addons.Service{}, fault.New(fault.NotFound, "Couldn't find either the add-on service or the add-on plan of \"%s\".", clip(identity))
}

func getService(c *call) (Answer, error) {
	s, err := findService(c.path("service"))
	if err != nil {
		return Answer{}, err
	}
	return ok(c.cfg.Site.OfService(serviceInfo(s)), nil)
}

func listPlans(c *call) (Answer, error) {
	s, err := findService(c.path("service"))
	if err != nil {
		return Answer{}, err
	}
	out := []view.Plan{}
	for _, p := range s.Plans {
		out = append(out, c.cfg.Site.OfPlan(planInfo(s, p)))
	}
	return ok(out, nil)
}

func getPlan(c *call) (Answer, error) {
	name := planName(c.path("plan"))
	if service := c.path("service"); service != "" && !strings.Contains(name, ":") {
		name = service + ":" + name
	}
	s, p, err := addons.FindPlan(name)
	if err != nil {
		return Answer{}, fault.New(fault.NotFound, "Couldn't find that add-on plan.")
	}
	return ok(c.cfg.Site.OfPlan(planInfo(s, p)), nil)
}
