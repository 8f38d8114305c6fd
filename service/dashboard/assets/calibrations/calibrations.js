// The page of all calibrations: the list, and the form that starts another.

import { wordFor } from "/assets/calibrations/form.js";
import { showCalibrations } from "/assets/calibrations/list.js";

showCalibrations(wordFor);
