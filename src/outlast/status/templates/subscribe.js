(() => {
  const zone = document.getElementById("zone");
  const zones = document.getElementById("zones");
  if (zone && !zone.value) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  if (zones && Intl.supportedValuesOf) {
    for (const name of ["UTC", ...Intl.supportedValuesOf("timeZone")]) zones.append(new Option(name, name));
  }
  const part = document.getElementById("push");
  const can = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  if (!part || !can || !isSecureContext) return;
  const form = document.querySelector("form.tall");
  const said = document.getElementById("push-said");
  const mine = document.getElementById("push-mine");
  const kept = "outlast-push";
  const say = (text) => { said.textContent = text; };
  const bytes = (text) => Uint8Array.from(
    atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const showMine = () => {
    let token = null;
    try { token = localStorage.getItem(kept); } catch { /* it may not be kept */ }
    if (!token) return;
    mine.querySelector("a").href = "/status/subscribe/manage?token=" + encodeURIComponent(token);
    mine.hidden = false;
  };
  const wishes = () => {
    const data = form ? new FormData(form) : new FormData();
    const out = { kind: "push", lang: document.documentElement.lang };
    for (const name of ["lang", "impact", "digest", "zone"]) if (data.get(name)) out[name] = data.get(name);
    if (data.get("hour")) out.hour = Number(data.get("hour"));
    for (const name of ["components", "states"]) out[name] = data.getAll(name);
    return out;
  };
  const subscribe = async () => {
    if (await Notification.requestPermission() !== "granted") return say(part.dataset.denied);
    say(part.dataset.wait);
    let found;
    try {
      const script = "/status/push.js?lang=" + wishes().lang;
      const worker = await navigator.serviceWorker.register(script, { scope: "/status/" });
      await navigator.serviceWorker.ready;
      // A former one ends: two of one browser would tell everything twice.
      const former = await worker.pushManager.getSubscription();
      if (former) await former.unsubscribe();
      found = await worker.pushManager.subscribe({
        userVisibleOnly: true, applicationServerKey: bytes(part.dataset.key) });
    } catch {
      return say(part.dataset.failed);
    }
    const made = found.toJSON();
    const answer = await fetch("/api/subscriptions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...wishes(), target: made.endpoint, keys: made.keys }),
    });
    const words = await answer.json();
    if (!answer.ok) {
      await found.unsubscribe();
      return say(part.dataset.refused + " " + words.error.messages[document.documentElement.lang]);
    }
    try { localStorage.setItem(kept, words.token); } catch { /* the first notification leads there too */ }
    say(part.dataset.done);
    showMine();
  };
  const button = document.getElementById("push-do");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try { await subscribe(); } catch { say(part.dataset.failed); }
    button.disabled = false;
  });
  part.hidden = false;
  showMine();
})();
