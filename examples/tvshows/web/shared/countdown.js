// Counts down to the moments the page names. Without it they are still named.
export function countDown() {
  for (const time of document.querySelectorAll("time[data-countdown][datetime]")) {
    const left = Math.max(0, Math.round((new Date(time.dateTime) - Date.now()) / 1000));
    const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60].map((n) => String(n).padStart(2, "0"));
    time.textContent = `in ${h > 0 ? h + ":" : ""}${m}:${s}`;
  }
}

countDown();
setInterval(countDown, 1000);
