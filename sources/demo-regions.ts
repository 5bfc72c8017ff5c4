/** Where the demo's customers live, and how people and streets are called there. */
export type DemoRegion = {
  country: string
  locale: string
  timeZone: string
  /** Standard time; summer time would only move everybody's day by an hour. */
  utcOffsetHours: number
  phonePrefix: string
  familyNameFirst?: boolean
  givenNames: string[]
  familyNames: string[]
  /** City, postal code and, where addresses have one, region. */
  places: [city: string, postalCode: string, region?: string][]
  streets: string[]
  /** `{street}` and `{number}`, in the order of the country. */
  line: string
}

export const demoRegions: DemoRegion[] = [
  {
    country: 'DE',
    locale: 'de-DE',
    timeZone: 'Europe/Berlin',
    utcOffsetHours: 1,
    phonePrefix: '+49 30',
    givenNames: ['Jürgen', 'Käthe', 'Lena', 'Matthias', 'Sören', 'Zoë', 'Emre', 'Birgit'],
    familyNames: ['Müller', 'Weiß', 'Schröder', 'Yılmaz', 'von der Heide', 'Groß', 'Nowak'],
    places: [
      ['Berlin', '10437'],
      ['Köln', '50667'],
      ['München', '80331'],
      ['Görlitz', '02826'],
    ],
    streets: ['Lindenstraße', 'Am Mühlbach', 'Goethestraße', 'Schönhauser Allee'],
    line: '{street} {number}',
  },
  {
    country: 'AT',
    locale: 'de-AT',
    timeZone: 'Europe/Vienna',
    utcOffsetHours: 1,
    phonePrefix: '+43 1',
    givenNames: ['Johanna', 'Xaver', 'Walpurga', 'Florian', 'Jovana'],
    familyNames: ['Gruber', 'Pfötscher', 'Steinböck', 'Jovanović', 'Öllinger'],
    places: [
      ['Wien', '1070'],
      ['Graz', '8010'],
      ['Bad Gößling', '3345'],
    ],
    streets: ['Mariahilfer Straße', 'Kirchengasse', 'Hauptplatz'],
    line: '{street} {number}/2',
  },
  {
    country: 'FR',
    locale: 'fr-FR',
    timeZone: 'Europe/Paris',
    utcOffsetHours: 1,
    phonePrefix: '+33 1',
    givenNames: ['Élodie', 'François', 'Maëlys', 'Jean-Noël', 'Aïcha', 'Anaïs'],
    familyNames: ['Lefèvre', "D'Aubigné", 'Benaïssa', 'Garçon', 'Château-Renaud'],
    places: [
      ['Paris', '75011'],
      ['Besançon', '25000'],
      ['Saint-Étienne', '42000'],
    ],
    streets: ['rue de l’Église', 'avenue Jean-Jaurès', 'impasse des Lilas'],
    line: '{number}, {street}',
  },
  {
    country: 'ES',
    locale: 'es-ES',
    timeZone: 'Europe/Madrid',
    utcOffsetHours: 1,
    phonePrefix: '+34 91',
    givenNames: ['Begoña', 'Íñigo', 'María José', 'Ángel', 'Lucía'],
    familyNames: ['Muñoz Peña', 'García Ibáñez', 'Núñez', 'Echevarría', 'Güell i Roig'],
    places: [
      ['Madrid', '28012', 'Madrid'],
      ['A Coruña', '15001', 'Galicia'],
      ['Málaga', '29016', 'Andalucía'],
    ],
    streets: ['Calle de la Unión', 'Avenida de España', 'Plaza Mayor'],
    line: '{street}, {number}, 3º B',
  },
  {
    country: 'PL',
    locale: 'pl-PL',
    timeZone: 'Europe/Warsaw',
    utcOffsetHours: 1,
    phonePrefix: '+48 22',
    givenNames: ['Zbigniew', 'Małgorzata', 'Łukasz', 'Agnieszka', 'Stanisław'],
    familyNames: ['Wójcik', 'Kamiński', 'Dąbrowska', 'Szczęsny', 'Żak'],
    places: [
      ['Łódź', '90-001'],
      ['Gdańsk', '80-831'],
      ['Kraków', '31-042'],
    ],
    streets: ['ul. Świętojańska', 'ul. Piękna', 'al. Jerozolimskie'],
    line: '{street} {number} m. 7',
  },
  {
    country: 'SE',
    locale: 'sv-SE',
    timeZone: 'Europe/Stockholm',
    utcOffsetHours: 1,
    phonePrefix: '+46 8',
    givenNames: ['Åsa', 'Björn', 'Linnéa', 'Göran', 'Ebba'],
    familyNames: ['Åkesson', 'Sjöberg', 'Hägglund', 'Nyström'],
    places: [
      ['Malmö', '211 22'],
      ['Östersund', '831 30'],
      ['Göteborg', '411 03'],
    ],
    streets: ['Storgatan', 'Björkvägen', 'Södra Förstadsgatan'],
    line: '{street} {number}',
  },
  {
    country: 'GB',
    locale: 'en-GB',
    timeZone: 'Europe/London',
    utcOffsetHours: 0,
    phonePrefix: '+44 20',
    givenNames: ['Siân', 'Oliver', 'Aoife', 'Priya', 'Callum', 'Zainab'],
    familyNames: ["O'Neill", 'Patel', 'Smith-Fletcher', 'MacLeòid', 'Brontë'],
    places: [
      ['London', 'E8 3PH'],
      ['Llanfairpwllgwyngyll', 'LL61 5UJ', 'Ynys Môn'],
      ['Glasgow', 'G12 8QQ'],
    ],
    streets: ['Mill Lane', 'Station Road', 'Queen’s Crescent'],
    line: '{number} {street}',
  },
  {
    country: 'GR',
    locale: 'el-GR',
    timeZone: 'Europe/Athens',
    utcOffsetHours: 2,
    phonePrefix: '+30 21',
    givenNames: ['Ελένη', 'Γιώργος', 'Αθηνά', 'Νίκος'],
    familyNames: ['Παπαδοπούλου', 'Κωνσταντίνου', 'Ψαράς', 'Αγγελόπουλος'],
    places: [
      ['Αθήνα', '104 32'],
      ['Θεσσαλονίκη', '546 24'],
    ],
    streets: ['Ερμού', 'Λεωφόρος Κηφισίας', 'Αγίας Σοφίας'],
    line: '{street} {number}',
  },
  {
    country: 'UA',
    locale: 'uk-UA',
    timeZone: 'Europe/Kyiv',
    utcOffsetHours: 2,
    phonePrefix: '+380 44',
    givenNames: ['Оксана', 'Тарас', 'Їржина', 'Андрій', 'Соломія'],
    familyNames: ['Шевченко', 'Ґалаґан', 'Ковальчук', 'Єфремова'],
    places: [
      ['Київ', '01001'],
      ['Львів', '79000'],
      ['Харків', '61000'],
    ],
    streets: ['вул. Хрещатик', 'просп. Науки', 'вул. Стрийська'],
    line: '{street}, {number}, кв. 12',
  },
  {
    country: 'US',
    locale: 'en-US',
    timeZone: 'America/Chicago',
    utcOffsetHours: -6,
    phonePrefix: '+1 312',
    givenNames: ['Deshawn', 'Emily', 'José', 'Mary Ann', 'Tyler', 'Nguyễn Anh'],
    familyNames: ['Johnson', 'Ramírez', "De'Angelo", 'Trần', 'Kowalski Jr.'],
    places: [
      ['Chicago', '60614', 'IL'],
      ['St. Paul', '55102', 'MN'],
      ['Austin', '78704', 'TX'],
    ],
    streets: ['Maple Ave', 'N Halsted St', 'Martin Luther King Jr Blvd'],
    line: '{number} {street}, Apt 4B',
  },
  {
    country: 'BR',
    locale: 'pt-BR',
    timeZone: 'America/Sao_Paulo',
    utcOffsetHours: -3,
    phonePrefix: '+55 11',
    givenNames: ['João', 'Conceição', 'Thaís', 'Luís Antônio', 'Iúna'],
    familyNames: ['da Silva', 'Gonçalves', 'Araújo dos Santos', 'Magalhães'],
    places: [
      ['São Paulo', '01310-100', 'SP'],
      ['Belém', '66010-000', 'PA'],
    ],
    streets: ['Rua das Acácias', 'Avenida São João', 'Travessa do Comércio'],
    line: '{street}, {number}',
  },
  {
    country: 'JP',
    locale: 'ja-JP',
    timeZone: 'Asia/Tokyo',
    utcOffsetHours: 9,
    phonePrefix: '+81 3',
    familyNameFirst: true,
    givenNames: ['さくら', '健一', '美咲', '翔太', '𠮷雄'],
    familyNames: ['佐藤', '髙橋', '渡邊', '小林', '五十嵐'],
    places: [
      ['東京都渋谷区', '150-0002'],
      ['大阪市北区', '530-0001', '大阪府'],
    ],
    streets: ['道玄坂', '梅田', '神宮前'],
    line: '{street}{number}丁目3-1',
  },
]
