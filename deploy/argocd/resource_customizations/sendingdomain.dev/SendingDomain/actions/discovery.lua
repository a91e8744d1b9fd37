local suspended = obj.spec.suspend == true
local identity = obj.status ~= nil and obj.status.identity or nil
local adopted = identity ~= nil and identity.origin == "Adopted"
return {
  ["reconcile"] = { ["disabled"] = suspended, ["iconClass"] = "fa fa-fw fa-redo" },
  -- New DKIM tokens: sending stops until their records are verified. Never done to an adopted identity.
  ["recreate"] = { ["disabled"] = suspended or adopted or identity == nil, ["iconClass"] = "fa fa-fw fa-key" },
  ["suspend"] = { ["disabled"] = suspended, ["iconClass"] = "fa fa-fw fa-pause" },
  ["resume"] = { ["disabled"] = not suspended, ["iconClass"] = "fa fa-fw fa-play" },
}
