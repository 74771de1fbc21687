// What the address ends with (#/image/ID) is never sent, so it is carried over the login here.
const again = document.querySelector('meta[name="again"]');
if (again) location.replace(again.content + location.hash);
document.querySelector("form").action += location.hash;
