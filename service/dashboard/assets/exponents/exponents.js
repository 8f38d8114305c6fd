import "/assets/shared/page.js";
