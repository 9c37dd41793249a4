export { createForecastLifecycle, type ForecastLifecycle } from './forecast-lifecycle.ts';
export { Forecast } from './forecast.schemas.ts';
export { createForecast, forecastRecoverySource } from './forecast.service.ts';
