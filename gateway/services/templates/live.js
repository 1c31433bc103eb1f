// Keeps the page fresh without reloading it: at each event of /events the page is fetched again and the parts
// marked data-live are replaced, except one in which somebody is typing.
"use strict";

(() => {
  const freshness = document.getElementById("freshness");
  let waiting = false;

  const busy = (part) =>
    part.contains(document.activeElement) || Array.from(part.querySelectorAll("input[type=password]")).some((field) => field.value);

  const replace = (fresh) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (other && other.outerHTML !== part.outerHTML && !busy(part)) {
        part.className = other.className;
        part.innerHTML = other.innerHTML;
      }
    }
    document.title = fresh.title;
    freshness.textContent = fresh.getElementById("freshness").textContent;
    freshness.classList.remove("stale");
  };

  const refresh = async () => {
    waiting = false;
    try {
      const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      stale();
    }
  };

  const stale = () => {
    freshness.textContent = "La passerelle ne répond plus : ce qui est affiché peut être dépassé.";
    freshness.classList.add("stale");
  };

  const later = () => {
    if (!waiting) {
      waiting = true;
      setTimeout(refresh, 300);
    }
  };

  const events = new EventSource("/events");
  events.addEventListener("change", later);
  events.addEventListener("hello", later);
  events.addEventListener("error", stale);
})();
