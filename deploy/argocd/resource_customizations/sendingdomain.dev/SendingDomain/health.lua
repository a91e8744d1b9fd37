-- SendingDomain conforms to kstatus: observedGeneration, Ready, and Reconciling or Stalled only while True.
-- Waiting for DNS or SES takes minutes to days and is Progressing. Only Stalled, where a person has to act, is Degraded.
if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "Suspended by spec.suspend" }
end
if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "Waiting for the operator" }
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to see the change" }
end
local ready, stalled
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    ready = condition
  elseif condition.type == "Stalled" and condition.status == "True" then
    stalled = condition
  end
end
if stalled ~= nil then
  return { status = "Degraded", message = stalled.reason .. ": " .. stalled.message }
end
if ready == nil then
  return { status = "Progressing", message = "Waiting for the operator" }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.reason .. ": " .. ready.message }
